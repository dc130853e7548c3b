"""What the course says when it is handed something it cannot use."""


class ClinicError(Exception):
    """One sentence for a person: what is wrong, where, and what to do about it.

    The command line prints it and leaves with status 2; a notebook shows it without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for its own rendering through this method; the learner gets
        # the sentence, not our stack.
        return [str(self)]


def could_not_run(error: Exception) -> str:
    """A sentence on a fault that is neither the course's own nor the learner's."""
    lines = str(error).strip().splitlines() or ["no message"]
    return f"It could not be run ({type(error).__name__}: {lines[0].rstrip('.')})."
