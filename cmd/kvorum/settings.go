package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"sigs.k8s.io/yaml"
)

// isSetting tells the flags that stay the same from one use to the next, and so may come from the environment and from the
// file of --config: those of servers, and how commands reach the cluster. All others say what one command is to do now. From
// elsewhere they would be a trap: in the container of a node, KVORUM_SHARD would narrow 'kvorum cluster snapshot'.
func isSetting(flag *kong.Flag, command *kong.Node) bool {
	inGroup := func(group *kong.Group, key string) bool { return group != nil && group.Key == key }
	switch {
	case flag.Name == "help" || flag.Name == "version":
		return false
	case command.Type == kong.ApplicationNode:
		return true
	}
	return inGroup(command.Group, "server") || inGroup(flag.Group, "connection")
}

// nameVariables gives each setting its environment variable, KVORUM_ and its name, and takes them from the other flags.
func nameVariables(k *kong.Kong) error {
	return kong.Visit(k.Model.Node, func(visited kong.Visitable, next kong.Next) error {
		if command, ok := visited.(*kong.Node); ok {
			for _, flag := range command.Flags {
				flag.Envs = nil
				if isSetting(flag, command) {
					flag.Envs = []string{"KVORUM_" + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))}
				}
				flag.Tag.Envs = flag.Envs
			}
		}
		return next(nil)
	})
}

// BeforeResolve reads the file of --config, however it was given. kong calls it once all flags and variables are known.
func (c *cli) BeforeResolve(ctx *kong.Context) error {
	path := ""
	for _, flag := range ctx.Model.Flags {
		if flag.Name == "config" {
			path, _ = ctx.FlagValue(flag).(string)
		}
	}
	if path == "" {
		return nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--config: %w", err)
	}
	values, err := parseSettings(raw, ctx.Model.Node)
	if err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	ctx.AddResolver(configFile(values))
	return nil
}

// parseSettings reads a flat YAML map from flag names to values. A name that is no setting of any command is an error: what
// is misspelt must not be ignored.
func parseSettings(raw []byte, app *kong.Node) (map[string]any, error) {
	var values map[string]any
	if err := yaml.UnmarshalStrict(raw, &values); err != nil {
		return nil, err
	}
	settings, arguments := flagNames(app)
	given := make(map[string]any, len(values))
	for name, value := range values {
		flag := strings.ReplaceAll(name, "_", "-")
		switch {
		case settings[flag]:
			given[flag] = plain(value)
		case arguments[flag]:
			return nil, fmt.Errorf("%q says what one command is to do: give --%s on the command line", name, flag)
		default:
			return nil, fmt.Errorf("%q is no flag of any command: names are those of the flags, without dashes in front", name)
		}
	}
	return given, nil
}

// flagNames gives the names that a file may hold, and those of the flags that belong on the command line.
func flagNames(app *kong.Node) (settings, arguments map[string]bool) {
	settings, arguments = map[string]bool{}, map[string]bool{"config": true}
	_ = kong.Visit(app, func(visited kong.Visitable, next kong.Next) error {
		if flag, ok := visited.(*kong.Flag); ok {
			if len(flag.Envs) > 0 && flag.Name != "config" {
				settings[flag.Name] = true
			} else {
				arguments[flag.Name] = true
			}
		}
		return next(nil)
	})
	return settings, arguments
}

// plain turns whole numbers, which YAML by way of JSON gives as floats, back into what was written.
func plain(value any) any {
	if f, ok := value.(float64); ok && f == float64(int64(f)) {
		return int64(f)
	}
	return value
}

// configFile gives the settings to kong, unless the environment has a say: kong asks resolvers for every flag that is not
// on the command line. A flag that is no setting of this command gets nothing, though another command's may have its name.
func configFile(values map[string]any) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		if len(flag.Envs) == 0 {
			return nil, nil
		}
		for _, variable := range flag.Envs {
			if _, ok := os.LookupEnv(variable); ok {
				return nil, nil
			}
		}
		return values[flag.Name], nil
	})
}
