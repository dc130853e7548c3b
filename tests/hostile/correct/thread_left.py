# tries: nothing; it leaves a thread waiting
# outcome: passed
# points: 4
# says: images you have not seen
import threading
import time

threading.Thread(target=time.sleep, args=(300,), daemon=True).start()
threading.Thread(target=time.sleep, args=(300,)).start()


def prepare(images):
    return images / 255
