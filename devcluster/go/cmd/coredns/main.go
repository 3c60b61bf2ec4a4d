// coredns is CoreDNS with the plugins that a development cluster's Corefile names and no others: the clients of cloud
// providers, which are most of the usual one, stay out.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/template"
)

func init() {
	// The order in which plugins see a query, as in CoreDNS's own plugin.cfg; a name that is missing here is no directive.
	dnsserver.Directives = []string{"bind", "errors", "template", "kubernetes"}
}

func main() { coremain.Run() }
