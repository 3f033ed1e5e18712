"""Put a text into one comment on the pull request: a step of the action that needs the standard library alone.

Usage: comment.py MODELS FILE, with a token in GITHUB_TOKEN. The comment that an earlier run made for the same MODELs is
replaced. Where the token may not comment, as in pull requests from forks, the text goes to the page of the job.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

# GitHub refuses more than 65,536 characters.
LIMIT = 60_000
CUT = "\n\nCut here: GitHub takes no longer comment."
UNCHANGED = "This pull request no longer changes the weights or the config."
# Others can write our mark too. Theirs are left alone, as their authors could change them afterwards.
OURS = {"OWNER", "MEMBER", "COLLABORATOR"}
PAGES, PER_PAGE = 20, 100
ANSWER_LIMIT = 1 << 25


class Comments:
    """The comments on one pull request."""

    def __init__(self, repository: str, number: int, token: str) -> None:
        self._repository = f"{os.environ['GITHUB_API_URL']}/repos/{repository}/issues"
        self._list = f"{self._repository}/{number}/comments"
        self._token = token

    def find(self, mark: str) -> dict[str, Any] | None:
        """The comment that begins with the mark, of a bot or of somebody who may write to the repository."""
        for page in range(1, PAGES + 1):
            comments = self._ask("GET", f"{self._list}?per_page={PER_PAGE}&page={page}")
            for comment in comments:
                trusted = comment["user"]["type"] == "Bot" or comment["author_association"] in OURS
                if trusted and comment["body"].startswith(mark):
                    return dict(comment)
            if len(comments) < PER_PAGE:
                break
        return None

    def write(self, body: str, existing: dict[str, Any] | None) -> None:
        """Replace the existing comment, or add one."""
        if existing is None:
            self._ask("POST", self._list, {"body": body})
        elif existing["body"] != body:
            self._ask("PATCH", f"{self._repository}/comments/{int(existing['id'])}", {"body": body})

    def _ask(self, method: str, url: str, data: dict[str, str] | None = None) -> Any:
        if not url.startswith(("https://", "http://")):
            raise ValueError("GITHUB_API_URL is no address")
        request = Request(  # noqa: S310 - the scheme was looked at
            url,
            data=json.dumps(data).encode() if data else None,
            method=method,
            headers={
                "Accept": "application/vnd.github+json",
                "Content-Type": "application/json",
                "User-Agent": "weightscope",
                "X-GitHub-Api-Version": "2022-11-28",
            },
        )
        # The token is for one server: it goes along with no redirect.
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        with urlopen(request, timeout=30) as answer:  # noqa: S310
            return json.loads(answer.read(ANSWER_LIMIT))


def cut(text: str) -> str:
    """The text, or as many of its lines as GitHub takes."""
    if len(text) <= LIMIT:
        return text
    return text[: text.rfind("\n", 0, LIMIT)] + CUT


def comment(text: str, mark: str, number: int) -> None:
    """Write the text into the comment with the mark; nothing if there is neither.

    Raises:
        OSError, HTTPException, ValueError, LookupError: the server did not do it.
    """
    comments = Comments(os.environ["GITHUB_REPOSITORY"], number, os.environ["GITHUB_TOKEN"])
    existing = comments.find(mark)
    if text or existing:
        comments.write(cut(f"{mark}\n# Checkpoints\n\n{text or UNCHANGED}"), existing)


def to_the_page(text: str, reason: str) -> None:
    """Append the text, if there is any, to the page of the job, and say in the log why it is there."""
    if not text:
        return
    print(f"::notice title=weightscope::no comment was written ({reason}); the page of the job has the comparison")
    with Path(os.environ["GITHUB_STEP_SUMMARY"]).open("a", encoding="utf-8") as page:
        page.write(f"# Checkpoints\n\n{text}\n\nThis stands here because no comment could be written ({reason}).\n")


def main(models: str, file: str) -> None:
    """Comment, or do without."""
    if not Path(file).is_file():  # there was nothing to compare, and the log says why
        return
    text = Path(file).read_text(encoding="utf-8")
    mark = f"<!-- weightscope {hashlib.sha256(models.encode()).hexdigest()[:12]} -->"
    event = json.loads(Path(os.environ["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    try:
        comment(text, mark, int(event["pull_request"]["number"]))
    except HTTPError as error:
        to_the_page(text, f"HTTP {error.code}")
    except (OSError, HTTPException, ValueError, LookupError, TypeError) as error:
        to_the_page(text, type(error).__name__)


if __name__ == "__main__":
    main(*sys.argv[1:])
