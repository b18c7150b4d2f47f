package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"sigs.k8s.io/yaml"
)

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
	values, err := parseConfig(raw, ctx.Model.Node)
	if err != nil {
		return fmt.Errorf("--config %s: %w", path, err)
	}
	ctx.AddResolver(configFile(values))
	return nil
}

// parseConfig reads a flat YAML map from flag names to values. A name that no command knows is an error: a misspelt
// setting must not be ignored.
func parseConfig(raw []byte, app *kong.Node) (map[string]any, error) {
	var values map[string]any
	if err := yaml.UnmarshalStrict(raw, &values); err != nil {
		return nil, err
	}
	var known []string
	_ = kong.Visit(app, func(node kong.Visitable, next kong.Next) error {
		if flag, ok := node.(*kong.Flag); ok && flag.Name != "help" && flag.Name != "config" {
			known = append(known, flag.Name)
		}
		return next(nil)
	})
	settings := make(map[string]any, len(values))
	for name, value := range values {
		flag := strings.ReplaceAll(name, "_", "-")
		if !slices.Contains(known, flag) {
			return nil, fmt.Errorf("%q is no flag of any command: names are those of the flags, without dashes in front", name)
		}
		settings[flag] = plain(value)
	}
	return settings, nil
}

// plain turns whole numbers, which YAML by way of JSON gives as floats, back into what was written.
func plain(value any) any {
	if f, ok := value.(float64); ok && f == float64(int64(f)) {
		return int64(f)
	}
	return value
}

// configFile gives the settings to kong, unless the environment has a say: kong asks resolvers for every flag that is not
// on the command line.
func configFile(values map[string]any) kong.Resolver {
	return kong.ResolverFunc(func(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		for _, variable := range flag.Envs {
			if _, ok := os.LookupEnv(variable); ok {
				return nil, nil
			}
		}
		return values[flag.Name], nil
	})
}
