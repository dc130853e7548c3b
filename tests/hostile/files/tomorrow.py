# tries: to have been handed in tomorrow
# outcome: not yet
# points: 0
# says: of the unseen images
from datetime import UTC, datetime, timedelta

from hostile_class import write
from hostile_lab import WRONG


def hand_in(path, answered):
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    (path.parent / "timestamp.txt").write_text(f"{tomorrow:%Y-%m-%d %H:%M:%S.%f} UTC")
    write(path, answered(WRONG))
