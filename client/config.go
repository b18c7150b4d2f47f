package client

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/kvorum/kvorum/network"
	"github.com/kvorum/kvorum/wire"
)

// Config says how to reach a cluster. Only Endpoints is needed.
type Config struct {
	// Endpoints are base URLs of nodes, routers or load balancers: http://host:port. Names are resolved at each dial.
	Endpoints []string
	// Timeout bounds one whole operation with all its attempts. An earlier deadline of the context wins. Listings are bounded by
	// it per page. Default 30 s.
	Timeout time.Duration
	// AttemptTimeout bounds one attempt; in a streamed reply, the silence between two lines. It should be longer than the
	// server's own request timeout (10 s), which answers with more knowledge. Default 15 s.
	AttemptTimeout time.Duration
	// Retry says how often and how fast to try again what is safe to try again.
	Retry RetryPolicy
	// DirectRouting fetches the slot table and sends each key's operations to its shard's members, which saves a hop. The
	// table is a hint: when it is old the nodes forward as ever. The members' API addresses must be reachable from here.
	DirectRouting bool
	// Consistency is the default of reads; "" is linearizable. MaxStale is the bound for wire.Bounded.
	Consistency wire.Consistency
	MaxStale    time.Duration
	// AutoIdempotency gives each write without an idempotency key a random one, so that it is executed once and yet can be
	// repeated after any failure. The servers remember keys for at least ten minutes, in a bounded store.
	AutoIdempotency bool
	// Session makes this client read its own writes also with bounded and stale reads, at any node.
	Session bool
	// Dial opens connections; nil is network.Dial.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// MaxIdleConnections kept per endpoint. Default 64.
	MaxIdleConnections int
	// UserAgent is sent with each request. Default "kvorum-client".
	UserAgent string
}

// RetryPolicy bounds retries. Waits grow from Base to Max by doubling, each drawn at random from its upper half.
type RetryPolicy struct {
	MaxAttempts int           // 1: never try again; 0: until the deadline
	Base        time.Duration // default 25 ms
	Max         time.Duration // default 2 s
}

// Client is safe for concurrent use. It starts no goroutines of its own. Close it to let go of idle connections.
type Client struct {
	config    Config
	endpoints []*url.URL
	transport *http.Transport
	preferred atomic.Uint32 // endpoint that answered last
	routes    routes
	session   session
}

// New checks config and makes a Client. It does not connect.
func New(config Config) (*Client, error) {
	config.fillDefaults()
	if len(config.Endpoints) == 0 {
		return nil, errors.New("client: no endpoints: give at least one, such as http://127.0.0.1:8080")
	}
	if err := checkConsistency(config.Consistency, config.MaxStale); err != nil {
		return nil, fmt.Errorf("client: %w", err)
	}
	c := &Client{config: config}
	for _, text := range config.Endpoints {
		u, err := parseEndpoint(text)
		if err != nil {
			return nil, err
		}
		c.endpoints = append(c.endpoints, u)
	}
	c.transport = newTransport(config)
	return c, nil
}

// Close lets go of idle connections. Calls under way go on.
func (c *Client) Close() error {
	c.transport.CloseIdleConnections()
	return nil
}

func (c *Config) fillDefaults() {
	setDefault(&c.Timeout, 30*time.Second)
	setDefault(&c.AttemptTimeout, 15*time.Second)
	setDefault(&c.Retry.Base, 25*time.Millisecond)
	setDefault(&c.Retry.Max, 2*time.Second)
	if c.Dial == nil {
		c.Dial = network.Dial
	}
	if c.MaxIdleConnections <= 0 {
		c.MaxIdleConnections = 64
	}
	if c.UserAgent == "" {
		c.UserAgent = "kvorum-client"
	}
}

func setDefault(d *time.Duration, value time.Duration) {
	if *d <= 0 {
		*d = value
	}
}

func parseEndpoint(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("client: endpoint %q: %w", text, err)
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || (u.Path != "" && u.Path != "/") || u.RawQuery != "" {
		return nil, fmt.Errorf("client: endpoint %q: want http://host:port", text)
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

func newTransport(config Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // over HTTP/2 a connection that dies may replay a write that was already executed
	return &http.Transport{
		DialContext:           func(ctx context.Context, _, address string) (net.Conn, error) { return config.Dial(ctx, address) },
		Protocols:             protocols,
		DisableCompression:    true, // values are sent as they are; a length must stay a length
		MaxIdleConns:          4 * config.MaxIdleConnections,
		MaxIdleConnsPerHost:   config.MaxIdleConnections,
		IdleConnTimeout:       60 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 0, // AttemptTimeout bounds it
	}
}
