"""A refusal, before a dialect puts it into its envelope."""


class Refused(Exception):
    def __init__(self, message, status=400, param=None, code=None, kind=None):
        super().__init__(message)
        self.message, self.status, self.param, self.code, self.kind = message, status, param, code, kind


WORDS = {
    400: "The request was malformed.", 401: "Incorrect API key provided.", 403: "You may not use this model.",
    404: "The model does not exist.", 408: "The request took too long.", 413: "The request is too large.",
    429: "Rate limit reached; try again later.", 500: "The server had an error.", 503: "The server is overloaded.",
    529: "Overloaded",
}
