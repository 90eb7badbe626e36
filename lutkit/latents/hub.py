"""One file from the Hugging Face hub, or one line that says why not; it never hangs.

Owns what is asked of huggingface_hub. What was fetched before is found without a network.
"""

import os
import threading
from pathlib import Path

from lutkit.errors import VaeError

_PATIENCE_S = 15.0
_TIMEOUT_S = 8.0


def fetch(repository: str, file: str, revision: str) -> Path | None:
    """The path of a file in huggingface_hub's cache, where it is put if it is not there yet.

    Args:
        repository: `owner/name`.
        file: its path in the repository.
        revision: a branch, tag or commit; empty for the newest. What an earlier run fetched under the same
            name is taken as it is.
    Returns:
        The path, whose folders end in `snapshots/COMMIT/` and the file's own; None where the repository has
        no such file.
    Raises:
        VaeError: the hub cannot be reached and the file was not fetched before; no such repository or
            revision, or one that asks for a login.
    """
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    here = fetched(repository, file, revision)
    if here is not None:
        return here
    known = revision or "main"
    _require_reachable(repository, file, known)
    try:
        return Path(hf_hub_download(repository, file, revision=known, etag_timeout=_TIMEOUT_S))
    except LocalEntryNotFoundError as error:
        raise _unreachable(repository, file, known, str(error.__cause__ or error)) from None
    except EntryNotFoundError:
        return None
    except Exception as error:
        # The hub's library raises its own errors, its HTTP client's and the system's.
        raise _refused(repository, file, known, error) from None


def fetched(repository: str, file: str, revision: str) -> Path | None:
    """What `fetch` gives, where it needs no network for that; None where it does."""
    from huggingface_hub import hf_hub_download  # pyright: ignore[reportUnknownVariableType]
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, revision=revision or "main", local_files_only=True))
    except LocalEntryNotFoundError:
        return None


def _require_reachable(repository: str, file: str, revision: str) -> None:
    """One short question first: the library itself asks an unreachable hub again and again."""
    from huggingface_hub import (
        get_hf_file_metadata,  # pyright: ignore[reportUnknownVariableType]
        hf_hub_url,
    )
    from huggingface_hub.errors import HfHubHTTPError

    failures: list[Exception] = []

    def ask() -> None:
        try:
            if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE"):
                raise OSError("HF_HUB_OFFLINE is set")
            get_hf_file_metadata(hf_hub_url(repository, file, revision=revision), timeout=_TIMEOUT_S)
        except HfHubHTTPError:
            pass  # it answers: what it says is for the true request
        except Exception as error:
            failures.append(error)

    # Looking a name up has no time limit of its own.
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(_PATIENCE_S)
    if asking.is_alive():
        raise _unreachable(repository, file, revision, f"no answer in {_PATIENCE_S:.0f} s")
    if failures:
        raise _unreachable(repository, file, revision, str(failures[0]))


def _unreachable(repository: str, file: str, revision: str, reason: str) -> VaeError:
    at = "" if revision == "main" else f" --revision {revision}"
    return VaeError(
        f"no such folder here, and the hub cannot be reached ({_first_line(reason)}); looked for {file}"
        f" of {repository} at revision {revision}",
        where=repository,
        remedy=f"where there is a network, run `hf download {repository}{at}`, or copy its folder here and"
        " name that",
    )


def _refused(repository: str, file: str, revision: str, error: Exception) -> VaeError:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

    if isinstance(error, GatedRepoError):
        what, remedy = "asks for a login", "run `hf auth login` with an account that may read it"
    elif isinstance(error, RevisionNotFoundError):
        what, remedy = f"has no revision {revision}", "correct --revision"
    elif isinstance(error, RepositoryNotFoundError):
        what, remedy = "not on the hub, or private", "correct the name, or run `hf auth login`"
    else:
        what = f"{file} cannot be fetched: {_first_line(str(error))}"
        remedy = "run the same command again, or name a folder"
    return VaeError(what, where=repository, remedy=remedy)


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[0].rstrip(".")
