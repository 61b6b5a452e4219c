"""Settings of the Jupyter server in a workspace: quick to start and to answer, nothing fetched from outside.

Read by ``jupyter server`` and ``jupyterhub-singleuser`` (the hub's own settings come by environment and win).
The figures are of two cores and a warm disk.
"""

import zmq.asyncio
from jupyter_core.paths import jupyter_runtime_dir
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from traitlets import default


class PromptKernelManager(AsyncMappingKernelManager):
    """Connects to a kernel as soon as it listens.

    The sockets are made before the kernel has bound its own, and ZeroMQ tries again only every 100 ms. If
    the iopub socket is the late one, the first status messages are lost and jupyter_server asks again after
    0.5 s: a kernel that is ready after 0.3 s seemed to take up to 0.9 s.
    """

    @default("context")
    def _context_default(self) -> zmq.asyncio.Context:
        self._created_context = True  # the base class ends the contexts that it has made
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.RECONNECT_IVL, 10)
        return context


class PromptWebsocket(ZMQChannelsWebsocketConnection):
    """Sends each message at once.

    A cell gives several small messages. With Nagle's algorithm the later ones wait until the proxy has
    acknowledged the first, which may take 40 ms: paid by each first cell, and by strokes drawn in a widget.
    """

    async def connect(self) -> object:
        """Connect as the base class does, without Nagle's algorithm."""
        self.websocket_handler.set_nodelay(True)
        return await super().connect()


c = get_config()  # type: ignore[name-defined]  # noqa: F821  # injected by traitlets

c.ServerApp.kernel_manager_class = PromptKernelManager
c.ServerApp.kernel_websocket_connection_class = PromptWebsocket

# Sockets in the file system, closed to others by the folder's mode: no TCP ports on which somebody else could
# talk to a kernel. A socket's path holds at most 107 characters, of which a kernel's name takes 50.
if len(jupyter_runtime_dir()) <= 57:
    c.KernelManager.transport = "ipc"

# No language server is installed for the first to talk to, and the second translates settings of the classic
# notebook, which nobody has here: 0.1 s of the start.
c.ServerApp.jpserver_extensions = {"jupyter_lsp": False, "notebook_shim": False}

# Workspaces reach nothing outside: no news, no search for updates (labconfig/ is the browser's side).
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"

# Extensions come with the image: others would put unreviewed code into a page that shows patients' data.
c.LabApp.extension_manager = "readonly"
