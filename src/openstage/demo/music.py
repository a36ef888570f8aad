"""The catalogue of `openstage demo music`: what its pieces are called, and how they sound (`pieces.toml`)."""

import functools
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PIECES: Final = Path(__file__).parent / "pieces.toml"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A piece of music that is synthesised. What the sound fields may be stands in `music_sound.py`."""

    title: str
    artist: str
    description: str
    genres: list[str]
    moods: list[str]
    instruments: list[str]
    bpm: int
    key: str
    mode: str
    lead: str
    accompaniment: str
    drums: str = ""
    beats: int = 4
    """Of a bar."""
    level: int = 1
    heat: int | None = None
    vhifun: bool = False


@functools.cache
def pieces() -> list[Piece]:
    """Return all pieces."""
    return [Piece(**each) for each in tomllib.loads(PIECES.read_text("utf-8"))["piece"]]


def aliased(names: list[str]) -> list[str]:
    """Return names of categories with those of the other language, as imports write them: `古筝|Guzheng`."""
    return [f"{name}|{ENGLISH[name]}" for name in names]


ENGLISH: Final = {
    "民族": "Chinese Folk", "弦乐": "Strings", "电子": "Electronic", "爵士": "Jazz", "影视": "Film Score",
    "节日": "Festive", "流行": "Pop", "氛围": "Ambient", "古典": "Classical", "民谣": "Folk", "儿童": "Children",
    "世界": "World", "摇滚": "Rock",
    "宽广": "Epic", "温暖": "Warm", "忧伤": "Sad", "安静": "Calm", "浪漫": "Romantic", "坚定": "Determined",
    "活力": "Energetic", "轻松": "Relaxed", "紧张": "Tense", "喜庆": "Joyful", "神秘": "Mysterious",
    "古筝": "Guzheng", "弦乐组": "String Section", "大提琴": "Cello", "二胡": "Erhu", "打击乐": "Percussion",
    "合成器": "Synthesiser", "笛子": "Dizi", "吉他": "Guitar", "琵琶": "Pipa", "钢琴": "Piano", "八音盒": "Music Box",
    "马林巴": "Marimba", "铜管": "Brass", "乌德琴": "Oud",
}  # fmt: skip
