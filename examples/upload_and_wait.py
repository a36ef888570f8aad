"""Upload a video, wait until it can be watched, and print the address of its page.

python examples/upload_and_wait.py holiday.mp4
"""

import os
import sys

from openstage.client import Category, Progress, Status, VideoCloud


def show_progress(progress: Progress) -> None:
    """Print how much is sent."""
    print(f"\r{progress.fraction:6.1%}", end="", file=sys.stderr)


def show_state(status: Status) -> None:
    """Print what happens to the video."""
    print(status.state, status.step, file=sys.stderr)


def main(path: str) -> None:
    """Upload one file."""
    server = os.environ.get("OPENSTAGE_SERVER", "http://127.0.0.1:8080")
    client_id, client_secret = os.environ["OPENSTAGE_CLIENT_ID"], os.environ["OPENSTAGE_CLIENT_SECRET"]
    with VideoCloud(client_id, client_secret, server) as cloud:
        video = cloud.upload(path, tags=["holiday", "sea"], category=Category.TRAVEL, on_progress=show_progress)
        cloud.wait(video.file_id, timeout=600, on_change=show_state)
        print(cloud.video(video.file_id).page_url)


if __name__ == "__main__":
    main(sys.argv[1])
