"""What makes a kernel look like Colab's: run by IPython before the first cell, and imported by nothing.

`google.colab.output` is what anywidget looks for there: it has the functions and the variable that the
real one has. No Python code in the kernel can open a connection to another machine.
"""

import sys
from types import ModuleType, SimpleNamespace

MANAGER = "https://ssl.gstatic.com/colaboratory-static/widgets/colab-cdn-widget-manager/2b70e893a8ba7c0f/manager.min.js"


def enable_custom_widget_manager() -> None:
    """As the real one does, say which script shows the widgets that are not Colab's."""
    sys.modules["google.colab.output"]._widgets._installed_url = MANAGER


def stay_here(event: str, arguments: tuple) -> None:
    """Refuse every connection that leaves the machine."""
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] not in ("127.0.0.1", "::1"):
        raise PermissionError(f"a notebook asked for {arguments[1]}")
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "::1", "localhost", None):
        raise PermissionError(f"a notebook asked for {arguments[0]}")


if "IPython" in sys.modules:
    output = ModuleType("google.colab.output")
    output._widgets = SimpleNamespace(_installed_url=None)
    output.enable_custom_widget_manager = enable_custom_widget_manager
    colab = ModuleType("google.colab")
    colab.output = output
    sys.modules |= {"google.colab": colab, "google.colab.output": output}
    sys.addaudithook(stay_here)
