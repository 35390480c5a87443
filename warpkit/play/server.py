"""The server of the page, on this machine alone."""

import socket
import threading
import webbrowser

import uvicorn

from warpkit.errors import InputError
from warpkit.play.app import application
from warpkit.play.pictures import Picture

HOST = "127.0.0.1"


class Server:
    """A server that listens from the start, on the port given or, for 0, on one that is free."""

    def __init__(self, picture: Picture, transform: str, options: dict[str, str], port: int = 0) -> None:
        self._socket = _listening(port)
        self.port = self._socket.getsockname()[1]
        app = application(picture, transform, options, self.port)
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False, ws="none"))

    @property
    def url(self) -> str:
        """The address to open in a browser."""
        return f"http://{HOST}:{self.port}/"

    def run(self) -> None:
        """Answer until the process is interrupted."""
        self._server.run(sockets=[self._socket])

    def open_browser(self) -> None:
        """Show the page, in a thread of its own: a browser in a terminal would hold everything up."""
        threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()

    def start(self) -> None:
        """Answer in a thread of its own, until the process ends or `stop` is called."""
        threading.Thread(target=self.run, daemon=True).start()

    def stop(self) -> None:
        """Answer no more, and free the port."""
        self._server.should_exit = True


def _listening(port: int) -> socket.socket:
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((HOST, port))
    except (OSError, OverflowError) as error:
        made.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(f"--port {port} cannot be used: {reason}", hint="leave it out for one that is free") from None
    made.listen()
    return made
