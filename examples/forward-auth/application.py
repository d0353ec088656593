"""Stands for the application behind Traefik and Envoy, which serve nothing themselves: python3 application.py"""

from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

ADDRESS = "127.0.0.1:8091"


class Application(SimpleHTTPRequestHandler):
    def __init__(self, *arguments):
        super().__init__(*arguments, directory="site")

    def do_GET(self):
        if self.path != "/hello/":
            return super().do_GET()
        body = f"Hello {self.headers.get('Remote-User', '')}\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


host, port = ADDRESS.split(":")
ThreadingHTTPServer((host, int(port)), Application).serve_forever()
