# tries: nothing; it leaves a coroutine waiting
# outcome: passed
# points: 4
# says: images you have not seen
import asyncio

task = asyncio.get_event_loop().create_task(asyncio.sleep(300))


def prepare(images):
    return images / 255
