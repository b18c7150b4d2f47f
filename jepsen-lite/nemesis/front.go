package nemesis

import (
	"context"
	"time"
)

func proxies() []Nemesis {
	return []Nemesis{
		{Name: "proxy-reload", Family: "proxy", Does: "HAProxy reloads under load: a new worker takes over the listeners", Needs: []Need{HAProxy}, Scope: Front, NoShard: true, Lasts: time.Second, Single: []Role{Either}, Inject: reload},
		{Name: "proxy-kill", Family: "proxy", Does: "kill -9 of HAProxy, master and worker", Needs: []Need{HAProxy}, Scope: Front, NoShard: true, Lasts: 2 * time.Second, Inject: killPart(func(t *Target) Part { return t.Proxy })},
		{Name: "router-kill", Family: "router", Does: "kill -9 of the router that keeps HAProxy in step", Needs: []Need{HAProxy}, Scope: Front, NoShard: true, Lasts: 2 * time.Second, Single: []Role{Either}, Inject: killPart(func(t *Target) Part { return t.Router })},
	}
}

func reload(ctx context.Context, t *Target, _ Blow) (*Strike, error) {
	proof, err := t.Proxy.Reload(ctx)
	return &Strike{Victims: []string{t.Proxy.ID()}, Proof: proof, Heal: func(ctx context.Context) (string, error) { return "", t.Proxy.Ready(ctx) }}, err
}

func killPart(choose func(*Target) Part) func(context.Context, *Target, Blow) (*Strike, error) {
	return func(ctx context.Context, t *Target, _ Blow) (*Strike, error) {
		part := choose(t)
		proof, err := part.Kill(ctx)
		return &Strike{Victims: []string{part.ID()}, Proof: proof, Heal: func(ctx context.Context) (string, error) {
			if err := part.Start(ctx); err != nil {
				return "", err
			}
			return "", part.Ready(ctx)
		}}, err
	}
}
