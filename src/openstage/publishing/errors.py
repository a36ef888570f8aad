"""What can go wrong on the way from upload to published."""

from openstage.errors import DomainError, Unavailable


class OriginalLost(DomainError):
    """The original is neither in the staging folder nor in the object store."""

    code = "publishing.original_lost"

    def __init__(self) -> None:
        super().__init__("The uploaded file is no longer there; it must be uploaded anew.")


class NotAMedium(DomainError):
    """The first bytes of a file show that it is no sound or video, or it has none."""

    code = "publishing.not_a_medium"


class EmptyFile(NotAMedium):
    """The file has no bytes."""

    code = "publishing.empty_file"


class WrongSize(DomainError):
    """A file doesn't have as many bytes as was said."""

    code = "publishing.wrong_size"


class WrongDigest(DomainError):
    """A file doesn't have the digest that was said: something changed it, or it is another one."""

    code = "publishing.wrong_digest"


class TooManyOrders(DomainError):
    """So many files of an app wait to be fetched that no further one is taken for now."""

    code = "publishing.too_many_orders"


class Elsewhere(Unavailable):
    """The original isn't stored yet and lies on another machine, whose worker must publish it.

    Attributes:
        node: the address at which that machine receives uploads.

    """

    code = "publishing.elsewhere"

    def __init__(self, node: str) -> None:
        super().__init__(f"The uploaded file lies on the machine that received it ({node}): a worker must run there.")
        self.node = node


class Superseded(Exception):
    """The run or the task isn't wanted any more, or another worker has taken the task over: stop and clean up."""


class PlanChanged(Exception):
    """The plan by which a task has worked holds no more: the task begins anew."""


class Resting(Exception):
    """Nothing more can be done of a task before something else: before the upload is finished, in most cases."""


class UploadStalled(Resting):
    """An upload that work goes on with while it arrives has stopped growing."""


class Later(Exception):
    """A task broke off for a reason that may pass.

    Attributes:
        delay: seconds until the next try.
        node: the machine that must do it, by the address at which it receives uploads; None: any.

    """

    def __init__(self, delay: float, *, node: str | None = None) -> None:
        super().__init__(f"again in {delay:.0f} s")
        self.delay = delay
        self.node = node
