"""Files of the Hugging Face Hub, through its own library, which keeps them where its other tools look.

`HF_HOME` and `HF_HUB_CACHE` say where that is, `HF_ENDPOINT` names a mirror, `HF_HUB_OFFLINE=1` forbids the network.
"""

import re
from contextlib import suppress
from pathlib import Path

from florilegium.config.weights import HUB_FILE, HubFile
from florilegium.data.download import Unavailable
from florilegium.data.fetch import Verified, mismatch

OLDER = {HUB_FILE: "pytorch_model.bin"}  # the name that older repositories have for the same
SHA256 = re.compile(r"[0-9a-f]{64}")


def from_hub(hub: HubFile) -> Verified:
    """The file, from the cache or downloaded; its `revision` is the commit. Raises `Unavailable` where the Hub, or
    without a network the cache, does not have it or has another one."""
    path, reason = _checked(hub, again=False)
    if reason:  # damaged in the cache, perhaps
        with suppress(Unavailable):  # offline
            path, reason = _checked(hub, again=True)
    from huggingface_hub import hf_hub_url  # as in `_download`

    commit = path.parent.name
    place = hf_hub_url(hub.repository, path.name, revision=commit)
    if reason:
        raise Unavailable(f"{place}: {reason}")
    return Verified(path.name, place, path, commit)


def _checked(hub: HubFile, *, again: bool) -> tuple[Path, str | None]:
    """The file in the cache, and why it is not the right one. The Hub names large files by their SHA-256."""
    path = _download(hub, again)
    name = path.resolve().name
    named = hub.model_copy(update={"sha256": name if SHA256.fullmatch(name) else None})
    return path, mismatch(path, hub) or mismatch(path, named)


def _download(hub: HubFile, again: bool) -> Path:
    # Here, since it takes half a second that most stages and every plan do without.
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    failure, cached_alone = f"the repository has no {hub.file}", False
    for name in filter(None, (hub.file, OLDER.get(hub.file))):
        try:
            path = hf_hub_download(
                hub.repository, name, revision=hub.revision, force_download=again, local_files_only=cached_alone
            )
            return Path(path)
        except LocalEntryNotFoundError:
            failure, cached_alone = "there is no answer, and the cache of its tools does not hold it", True
        except EntryNotFoundError:
            continue
        except Exception as error:  # of several libraries, of which the Hub's changes
            failure = " ".join(str(error).split())[:300] or type(error).__name__
            break
    raise Unavailable(f"{hub.repository} on the Hugging Face Hub, revision {hub.revision}: {failure}")
