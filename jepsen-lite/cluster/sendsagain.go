package cluster

import "errors"

// SendsAgain makes of the haproxy.cfg in a folder what it must never be: HAProxy sends writes again that it has sent. Whoever
// looks for writes that were executed twice must find some then.
func SendsAgain(folder string) error {
	const guard, mode = "    http-request disable-l7-retry unless read\n", "    option http-server-close\n"
	h := HAProxy{Folder: folder}
	return errors.Join(h.Replace(guard, ""), h.Replace(mode, mode+"    retry-on all-retryable-errors\n"))
}
