"""Upload every video of a folder, two at a time, and go on after the ones that fail. Run it again for the rest.

python examples/upload_folder.py ~/Videos
"""

import asyncio
import os
import sys
from pathlib import Path

from openstage.client import AsyncVideoCloud, VideoCloudError

VIDEOS = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".flv", ".ts", ".3gp"}


def videos_in(folder: Path) -> list[Path]:
    """List the videos of a folder by their names."""
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEOS)


async def main(folder: Path) -> None:
    """Upload what is not there yet, by title."""
    server = os.environ.get("OPENSTAGE_SERVER", "http://127.0.0.1:8080")
    client_id, client_secret = os.environ["OPENSTAGE_CLIENT_ID"], os.environ["OPENSTAGE_CLIENT_SECRET"]
    async with AsyncVideoCloud(client_id, client_secret, server) as cloud:
        there = {video.title async for video in cloud.videos()}
        at_once = asyncio.Semaphore(2)

        async def upload(path: Path) -> None:
            async with at_once:
                try:
                    video = await cloud.upload(path, title=path.stem)
                except (VideoCloudError, OSError, ValueError) as error:
                    print(f"{path.name}: {error}")
                else:
                    print(f"{path.name}: {video.file_id}")

        await asyncio.gather(*(upload(path) for path in videos_in(folder) if path.stem not in there))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
