"""Pages and answers of the API go over the wire compressed; downloads go as they are."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware


class PageCompressionMiddleware(GZipMiddleware):
    """Django's, for all but what is streamed: the files of an export, and its archive.

    Most of those are compressed in themselves, and a browser shows how far a download is by its Content-Length, which
    compressing on the way takes away. A page's length tells nothing of the secrets in it: Django masks its tokens anew
    each time, and adds random bytes here.
    """

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if response.streaming else super().process_response(request, response)
