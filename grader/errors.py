"""What the course says when it is handed something it cannot use."""


class ClinicError(Exception):
    """One sentence for a person: what is wrong, where, and what to do about it.

    The command line prints it and leaves with status 2; a notebook shows it without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython asks an exception for its own rendering through this method; the learner gets
        # the sentence, not our stack.
        return [str(self)]
