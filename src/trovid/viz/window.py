"""A window that shows pictures while they are made."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image

from trovid.errors import TrovidError

LARGEST = 0.9
"""Share of the screen that a picture may fill; larger ones are shown smaller."""


class Window:
    """A window on the screen, to be used from one thread.

    Closing it, or Esc, ends the showing and nothing else.

    Raises:
        TrovidError: If there is no screen, or this Python has no tkinter.
    """

    def __init__(self) -> None:
        try:
            import tkinter

            from PIL import ImageTk
        except ImportError as error:
            raise TrovidError(
                f"nothing can be shown: this Python has no tkinter ({error}); install it (Debian, "
                "Ubuntu: apt install python3-tk)"
            ) from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise TrovidError(f"nothing can be shown: there is no screen ({error})") from error
        self._closing: type[Exception] = tkinter.TclError
        self._photo: Any = ImageTk.PhotoImage
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._shown: Any = None
        self._root.bind("<Escape>", lambda _: self.close())
        self._root.protocol("WM_DELETE_WINDOW", self.close)
        self.is_open = True

    def show(self, picture: np.ndarray, title: str) -> None:
        """Shows a picture in place of the one before; nothing once the window was closed.

        Args:
            picture: uint8 [H, W, 3], RGB.
            title: Of the window.
        """
        if not self.is_open:
            return
        image = Image.fromarray(picture)
        try:
            screen = (self._root.winfo_screenwidth(), self._root.winfo_screenheight())
            image.thumbnail((round(LARGEST * screen[0]), round(LARGEST * screen[1])))
            shown = self._photo(image, master=self._root)
            self._label.configure(image=shown)
            self._shown = shown  # or it is collected
            self._root.title(title)
            self._root.update()
        except self._closing:
            self.is_open = False

    def close(self) -> None:
        """Takes the window from the screen."""
        if self.is_open:
            self.is_open = False
            self._root.destroy()
