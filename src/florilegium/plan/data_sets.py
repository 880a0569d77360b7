"""Data sets that experiments name: whether there are such, whether they fit the task, and what stands in for them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from florilegium.config.datasets import Dataset, split_names, split_of
from florilegium.config.experiment import Experiment
from florilegium.core.errors import Mistakes, UserError, unknown

FOLDERS = ("weights", "downloads")  # below resources/, beside those of data sets


@dataclass(frozen=True)
class DataSets:
    """All data sets of a project.

    Attributes:
        by_name: those that are right.
        unread: names of those that have mistakes of their own, of which nothing further is said.
        stand_ins: data sets that are replaced by others.
    """

    by_name: Mapping[str, Dataset]
    unread: Collection[str] = ()
    stand_ins: Mapping[str, str] = field(default_factory=dict)

    def check(self, e: Experiment) -> None:
        """Raise `UserError` or `UserErrors` for an unknown data set, for one of another kind than the task needs, and
        for a test image that it does not have."""
        names = split_names(self.by_name)
        mistakes = Mistakes()
        for key, used in (("dataset", [e.data.dataset]), ("clean", e.data.clean)):
            for name in used:
                with mistakes.caught():
                    if self.stand_ins.get(name, name) not in names and not self._is_unread(name):
                        raise unknown("data set", name, self._choices(name), e.place(f"data.{key}"))
        mistakes.refuse()
        name = self.stand_ins.get(e.data.dataset, e.data.dataset)
        if name not in names:
            return
        dataset = self.by_name[names[name][0]]
        if name == e.data.dataset:
            _check_kind(e, dataset)
        _check_images(e, dataset)

    def check_names(self, where: Callable[[str], str]) -> None:
        """Raise `UserError` or `UserErrors` for data sets whose names mean something else already.

        Args:
            where: from a data set to the file and the key that hold it.
        """
        mistakes = Mistakes()
        for name in self.by_name:
            with mistakes.caught():
                if problem := self._taken(name):
                    raise UserError(f"{where(name)}: {problem}; give it another name")
        mistakes.refuse()

    def _taken(self, name: str) -> str:
        """What the name of a data set means already; empty for a free one."""
        if name.casefold() in FOLDERS:
            return f"resources/{name} is a folder of the workflow's own"
        if "__" in name:
            return "two underscores stand between the two data sets of an audit"
        stem, split = split_of(name)
        if split is not None and stem in self.by_name and 1 <= split <= self.by_name[stem].official_splits:
            return f"{name} is an official split of {stem}"
        first = next(other for other in self.by_name if other.casefold() == name.casefold())
        return f"{first} and {name} are one folder on macOS and Windows" if first != name else ""

    def check_stand_ins(self, where: Callable[[str], str]) -> None:
        """Raise `UserError` or `UserErrors` for data sets that stand in for what they cannot replace.

        Args:
            where: from the data set that is replaced to the file and the key that hold it.
        """
        mistakes = Mistakes()
        for name, stand_in in self.stand_ins.items():
            with mistakes.caught():
                _check_stand_in(name, stand_in, self, where(name))
        mistakes.refuse()

    def _is_unread(self, name: str) -> bool:
        replaced = self.stand_ins.get(name, name)
        return bool({name, split_of(name)[0], replaced} & set(self.unread))

    def _choices(self, name: str) -> list[str]:
        """The names that may have been meant: the splits of a data set where the name is almost one."""
        stem, split = split_of(name)
        if split is not None and stem in self.by_name:
            own = [n for n, (source, _) in split_names(self.by_name).items() if source == stem]
            return own or [stem]
        return list(self.by_name)


def _check_kind(e: Experiment, dataset: Dataset) -> None:
    if dataset.has_boxes != (e.task == "detection"):
        contents = "boxes in its images, and is for detection" if dataset.has_boxes else "no boxes to detect"
        raise UserError(
            f"{e.place('data.dataset')} = {e.data.dataset}: a data set of layout {dataset.layout} has {contents}; name "
            "another, or set the experiment's task"
        )


def _check_images(e: Experiment, dataset: Dataset) -> None:
    if not (e.attribution and dataset.images) or getattr(e.data, "holdout", None) is not None:
        return
    tested = sum(dataset.images.get(split, 0) for split in e.data.test)
    for number in e.attribution.names:
        if isinstance(number, int) and number >= tested:
            raise UserError(
                f"{e.place('attribution.names')} asks for image {number}, and {e.data.dataset} has {tested} test "
                f"images; they count from 0, so name one up to {tested - 1}"
            )


def _check_stand_in(name: str, stand_in: str, data: DataSets, where: str) -> None:
    if name == stand_in:
        raise UserError(f"{where}: {name} stands in for itself; name another, or take it out")
    replaced = [other for other, replacement in data.stand_ins.items() if replacement == name and other != stand_in]
    if replaced:
        raise UserError(
            f"{where}: {name} stands itself in for {replaced[0]}, and stand-ins are not replaced in turn; write "
            f"{replaced[0]}: {stand_in}"
        )
    if data.stand_ins.get(stand_in) == name and name < stand_in:
        raise UserError(f"{where}: {name} and {stand_in} stand in for each other; take one of them out")
    if name in data.by_name and stand_in in data.by_name:
        ours, theirs = (data.by_name[n].has_boxes for n in (name, stand_in))
        if ours != theirs:
            of_name, of_other = ("boxes" if has else "classes alone" for has in (ours, theirs))
            raise UserError(
                f"{where}: {stand_in} has {of_other} and cannot stand in for {name}, which has {of_name}; name another"
            )
