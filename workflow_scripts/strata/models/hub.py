"""The hub of models: what a repository holds at a revision, and its files, verified and resumed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from strata.data.download import PassingError, RemoteFile, fetch_file, retried, seconds_to_wait
from strata.errors import StrataError, one_line
from strata.models.cards import ADAPTER, adapter_told
from strata.models.weights import shards_of

_PASSING = (408, 429, 500, 502, 503, 504)


def fetch_repository(
    repository: str,
    revision: str,
    names: Sequence[str],
    directory: str | Path,
    *,
    either: Sequence[str] = (),
    log: Callable[[str], None] = print,
) -> tuple[str, Path]:
    """Fetch those of `names` that a hub repository has, and the first of `either` that it has.

    Where that is an index of weights, the files that it names are fetched too.

    They lie in `directory/{commit}/`, so that nothing of another commit is mixed in. Each file is
    resumed where an earlier attempt stopped, and gets its name once its checksum holds (sha256 of
    large files, git's object id of small ones). The hub is `HF_ENDPOINT`'s; a gated repository
    needs a token (`HF_TOKEN`, or that of `hf auth login`).

    Returns the commit and the folder of its files.

    Raises
    ------
    StrataError
        One line that says what the hub answered and what to do.
    """
    from huggingface_hub import get_token, hf_hub_url

    info = _look_up(repository, revision, log)
    there = {file.rfilename: file for file in info.siblings}
    if ADAPTER in there:
        raise StrataError(adapter_told("it"))
    first = [name for name in either if name in there][:1]
    if either and not first:
        raise StrataError(f"it has none of {', '.join(either)}")
    folder = Path(directory) / info.sha
    folder.mkdir(parents=True, exist_ok=True)
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    def get(wanted: Sequence[str]) -> None:
        _check_space(folder, sum(there[name].size or 0 for name in wanted))
        for name in wanted:
            url = hf_hub_url(repository, name, revision=info.sha)
            fetch_file(_remote_file(there[name], url), folder, headers=headers, log=log)

    get([name for name in names if name in there] + first)
    parts = [part for name in first for part in shards_of(folder / name)]
    missing = [part for part in parts if part not in there]
    if missing:
        raise StrataError(f"its {first[0]} names {missing[0]}, which it does not have")
    get(parts)
    return info.sha, folder


def _look_up(repository: str, revision: str, log: Callable[[str], None]):
    """What the hub says of a repository: its commit, its files with their checksums."""
    import httpx2
    from huggingface_hub import HfApi, constants, errors

    api = HfApi()
    place = f"{constants.ENDPOINT}/{repository}"

    def ask():
        try:
            info = api.model_info(repository, revision=revision, files_metadata=True)
            if info.gated:
                api.auth_check(repository)
            return info
        except errors.GatedRepoError:
            told = f"it is gated: accept its terms at {place}, then set HF_TOKEN"
        except errors.RepositoryNotFoundError:
            told = f"no such repository at {place}, or a private one: check id, set HF_TOKEN"
        except errors.RevisionNotFoundError:
            told = f"it has no such revision; {place}/commits/main lists them"
        except errors.HfHubHTTPError as error:
            status = error.response.status_code
            if status in _PASSING:
                wait = seconds_to_wait(error.response.headers)
                raise PassingError(f"HTTP status {status}", wait) from None
            told = f"HTTP status {status}"
        except httpx2.TransportError as error:
            raise PassingError(f"{type(error).__name__} at {constants.ENDPOINT}") from None
        except (OSError, ValueError) as error:
            told = one_line(error, 200)
        raise StrataError(told)

    return retried(ask, place, log=log)


def _remote_file(file, url: str) -> RemoteFile:
    if file.lfs is not None:
        return RemoteFile(file.rfilename, url, file.lfs.sha256)
    return RemoteFile(file.rfilename, url, file.blob_id, algorithm="git object")


def _check_space(folder: Path, needed: int) -> None:
    """Say at once that a download cannot fit (what an earlier attempt fetched counts)."""
    have = sum(path.stat().st_size for path in folder.iterdir())
    free = shutil.disk_usage(folder).free
    if needed - have > free:
        raise StrataError(
            f"{(needed - have) / 2**20:.0f} MiB do not fit on the disk of {folder} "
            f"({free / 2**20:.0f} MiB free)"
        )
