"""Web servers and resolvers whose answers tests write by hand."""

import socket
import socketserver
import threading

HOST = "photos.example"


class Site(socketserver.ThreadingTCPServer):
    """A web server whose answers are written by hand; remembers what it was asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, context=None):
        super().__init__(("127.0.0.1", 0), Visit)
        self.context = context
        self.answers = {}
        self.asked = []
        self.leave = threading.Event()
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]

    def get_request(self):
        connection, address = super().get_request()
        return connection if self.context is None else _wrapped(self, connection), address

    def handle_error(self, request, client_address):
        """A client that leaves early is no failure of this server."""


def _wrapped(site, connection):
    try:
        return site.context.wrap_socket(connection, server_side=True)
    except OSError:
        connection.close()
        raise


class Visit(socketserver.BaseRequestHandler):
    """One request and the parts of its answer, of which a number is a pause in seconds."""

    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head and (more := self.request.recv(4096)):
            head += more
        self.server.asked.append(head.decode("latin-1"))
        for part in self.server.answers.get(head.split(b" ")[1].decode(), [gone()]):
            if isinstance(part, bytes):
                self.request.sendall(part)
            elif self.server.leave.wait(part):
                return


def answer(body, *headers, status="200 OK"):
    length = () if any("Transfer" in h for h in headers) else (f"Content-Length: {len(body)}",)
    lines = [f"HTTP/1.1 {status}", *length, *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def gone():
    return answer(b"", status="404 Not Found")


class Names:
    """A resolver that knows what a test says, and counts how often it was asked."""

    def __init__(self, **known):
        self.known = {name.replace("_", "."): found for name, found in known.items()}
        self.asked = []

    async def __call__(self, host, port):
        self.asked.append((host, port))
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        found = self.known[host]
        return found.pop(0) if isinstance(found[0], list) else found
