// CoreDNS with the published etcd plugin, and without the fifty others that take most of the time to compile it.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"

	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/etcd"
	_ "github.com/coredns/coredns/plugin/health"
)

func main() {
	// In the order in which a complete one asks them.
	dnsserver.Directives = []string{"bind", "health", "errors", "etcd"}
	coremain.Run()
}
