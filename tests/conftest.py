"""Settings that all tests share."""

import contextlib
import sys
from importlib.metadata import entry_points

import pytest
from hypothesis import settings

# Triton, which PyTorch brings along on Linux, ends the process when it is loaded after TensorFlow;
# here both frameworks are loaded into one process, in whatever order the selected tests ask for.
with contextlib.suppress(ImportError):
    import triton  # noqa: F401

# The same examples on every run and every machine, and no verdict that depends on time: a search
# for new examples is `pytest --hypothesis-profile=default`.
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def shut_in(tmp_path_factory: pytest.TempPathFactory) -> None:
    """For tests that shut kernels in; skips them, with the reason, where that is not possible."""
    from grader.harness import kernels, sandbox

    if sentence := sandbox.why_not():
        pytest.skip(sentence)
    names = {e.name for e in entry_points(group="jupyter_client.kernel_provisioners")}
    if kernels.SHUT_IN not in names:  # installed before there was such a provisioner
        folder = tmp_path_factory.mktemp("installed")
        about = folder / "shut_in-0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: shut-in\nVersion: 0\n")
        (about / "entry_points.txt").write_text(
            "[jupyter_client.kernel_provisioners]\n"
            f"{kernels.SHUT_IN} = {kernels.__name__}:{kernels.ShutInProvisioner.__name__}\n"
        )
        sys.path.append(str(folder))
