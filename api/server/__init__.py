"""An HTTP/1.1 server on gevent: httptools parses every request, an application answers it."""
