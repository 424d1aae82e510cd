"""`git http-backend` on loopback, alone or beside an LFS server.

usage: git_http.py FOLDER    serves the bare repositories below FOLDER/git, and prints its URL
"""

import os
import subprocess
import sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    # Clients send the bytes of objects after "Expect: 100-continue" or at once; both are fine.
    def log_message(self, *_):
        pass


def body(environ):
    """The whole request body, with or without a length."""
    stream = environ["wsgi.input"]
    if environ.get("HTTP_TRANSFER_ENCODING", "").lower() != "chunked":
        return stream.read(int(environ.get("CONTENT_LENGTH") or 0))
    whole = b""
    while size := int(stream.readline().split(b";")[0], 16):
        whole += stream.read(size)
        stream.readline()
    stream.readline()
    return whole


def git(folder, environ, start_response):
    variables = {
        "PATH": os.environ["PATH"],
        "GIT_PROJECT_ROOT": os.path.join(folder, "git"),
        "GIT_HTTP_EXPORT_ALL": "1",
        "REMOTE_USER": "anybody",
        "REMOTE_ADDR": "127.0.0.1",
    }
    for name in ("PATH_INFO", "QUERY_STRING", "REQUEST_METHOD", "CONTENT_TYPE"):
        variables[name] = environ.get(name, "")
    for name, header in (("GIT_PROTOCOL", "HTTP_GIT_PROTOCOL"),
                         ("HTTP_CONTENT_ENCODING", "HTTP_CONTENT_ENCODING")):
        if header in environ:
            variables[name] = environ[header]
    sent = body(environ)
    variables["CONTENT_LENGTH"] = str(len(sent))
    output = subprocess.run(
        ["git", "http-backend"], input=sent, env=variables, capture_output=True, check=True
    ).stdout
    head, _, answer = output.partition(b"\r\n\r\n")
    headers = [tuple(line.split(": ", 1)) for line in head.decode().split("\r\n")]
    status = next((value for name, value in headers if name == "Status"), "200 OK")
    start_response(status, [header for header in headers if header[0] != "Status"])
    return [answer]


def serve(application):
    server = make_server("127.0.0.1", 0, application, Server, Quiet)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    served = sys.argv[1]
    serve(lambda environ, start_response: git(served, environ, start_response))
