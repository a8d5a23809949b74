"""Read references.bib and name sources the way a reader would."""

import re
from dataclasses import dataclass
from pathlib import Path

_ACCENTS = re.compile(r"""\\[`'"^~=.cvuHk]\s?\{?([A-Za-z])\}?""")


@dataclass(frozen=True)
class Entry:
    """One entry of a BibTeX file.

    Args:
        key: citation key.
        bibtex: the entry as it stands in the file.
        fields: fields by lower-case name, without outer braces.
    """

    key: str
    bibtex: str
    fields: dict[str, str]

    @property
    def authors(self) -> list[str]:
        """Family names in order."""
        names = re.split(r"\s+and\s+", plain(self.fields.get("author", "")))
        return [name.partition(",")[0].strip() if "," in name else name.split()[-1] for name in names if name.strip()]

    @property
    def cited(self) -> str:
        """How the text names it: "Wu et al. 2023"."""
        names, year = self.authors, self.fields.get("year", "")
        if len(names) > 2:
            names = [f"{names[0]} et al."]
        who = " and ".join(names) or self.key
        return f"{who} {year}".strip()

    @property
    def reference(self) -> str:
        """Authors, year, title and place in one line of plain text."""
        names = self.authors
        who = ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
        places = ("journal", "booktitle", "publisher", "howpublished", "note")
        place = next((self.fields[name] for name in places if name in self.fields), "")
        head = " ".join(part for part in (who, f"({self.fields['year']})" if "year" in self.fields else "") if part)
        return ". ".join(plain(part) for part in (head, self.fields.get("title", ""), place) if part) + "."


def plain(text: str) -> str:
    r"""Drop BibTeX's braces and accents, which plain text does without.

    >>> plain(r"{InfoNCE} by G{\"o}del")
    'InfoNCE by Godel'
    """
    text = _ACCENTS.sub(r"\1", text)
    return " ".join(re.sub(r"[{}]", "", text).replace("--", "–").replace(r"\&", "&").split())


def read(path: Path) -> dict[str, Entry]:
    """Read a BibTeX file.

    Args:
        path: the file; one that does not exist holds no entries.

    Returns:
        Entries by key, in the order of the file.
    """
    if not path.is_file():
        return {}
    text, entries = path.read_text(encoding="utf-8"), {}
    for match in re.finditer(r"^[ \t]*@(\w+)\s*\{\s*([^,\s]+)\s*,", text, re.MULTILINE):
        if match[1].lower() in ("comment", "string", "preamble"):
            continue
        end = _closing(text, text.index("{", match.start()))
        entries[match[2]] = Entry(match[2], text[match.start() : end + 1].strip(), _fields(text[match.end() : end]))
    return entries


def keys(source: str, entries: dict[str, Entry]) -> list[str]:
    """The citation keys that a claim's source names.

    >>> keys("wu2023, Theorem 3.2", {"wu2023": Entry("wu2023", "", {})})
    ['wu2023']
    """
    return [word for word in dict.fromkeys(re.findall(r"[\w:-]+", source)) if word in entries]


def named(source: str, entries: dict[str, Entry]) -> str:
    """A claim's source with each key replaced by author and year.

    >>> entry = Entry("wu2023", "", {"author": "Wu, J. and Chen, J. and Wu, J.", "year": "2023"})
    >>> named("wu2023, Theorem 3.2", {"wu2023": entry})
    'Wu et al. 2023, Theorem 3.2'
    """
    return re.sub(r"[\w:-]+", lambda match: entries[match[0]].cited if match[0] in entries else match[0], source)


def _closing(text: str, start: int) -> int:
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0:
            return at
    raise ValueError(f"references.bib: the entry at character {start} is not closed")


def _fields(body: str) -> dict[str, str]:
    fields, at = {}, 0
    while match := re.compile(r"\s*,?\s*(\w+)\s*=\s*").match(body, at):
        at = match.end()
        if body[at] == "{":
            end = _closing(body, at)
            value, at = body[at + 1 : end], end + 1
        elif body[at] == '"':
            end = body.index('"', at + 1)
            value, at = body[at + 1 : end], end + 1
        else:
            value = re.compile(r"[^,]*").match(body, at)[0]  # type: ignore[index]
            at += len(value)
        fields[match[1].lower()] = " ".join(value.split())
    return fields
