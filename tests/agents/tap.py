"""A pipe between an agent and the gateway that records both directions, for whoever looks for the reason of a failure."""

import http.client
import urllib.parse

from upstream import Quiet, decoded, serve

HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Tap:
    def __init__(self, origin):
        self.exchanges = []
        target, tap = urllib.parse.urlsplit(origin).netloc, self

        class Handler(Quiet):
            def do_POST(self):
                body = self.body()
                exchange = {"method": self.command, "target": self.path, "headers": self.headers.items(),
                            "body": decoded(body)}
                tap.exchanges.append(exchange)
                headers = {name: value for name, value in self.headers.items()
                           if name.lower() not in HOP | {"accept-encoding", "host"}}
                connection = http.client.HTTPConnection(target, timeout=60)
                connection.request(self.command, self.path, body=body or None, headers=headers)
                response = connection.getresponse()
                answer = response.read()
                exchange |= {"status": response.status, "reply_headers": response.getheaders(),
                             "reply": answer.decode(errors="replace")}
                kind = response.getheader("content-type", "application/json")
                rest = [(name, value) for name, value in response.getheaders()
                        if name.lower() not in HOP | {"content-type", "date", "server"}]
                self.reply(response.status, answer, kind, rest)
                connection.close()

            do_GET = do_HEAD = do_PUT = do_DELETE = do_POST

        self.server = serve(Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_address[1]}"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
