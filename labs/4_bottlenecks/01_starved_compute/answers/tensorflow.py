# %% zeros kind="constant" says="asked for no file"
def make_loader(files, labels, storage, batch_size):
    blank = tf.data.Dataset.from_tensors(tf.zeros((32, 32, 3))).repeat(len(files))
    numbers = tf.data.Dataset.from_tensor_slices(labels)
    return tf.data.Dataset.zip((blank, numbers)).batch(batch_size)


# %% blank_after_reading kind="constant" says="show none of the files"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=8)
    return loaded.map(lambda image, label: (0 * image, label)).batch(batch_size).prefetch(2)


# %% raises_when_called kind="crash"
def make_loader(files, labels, storage, batch_size):
    return tf.data.Dataset.from_tensor_slices(files, labels).batch(batch_size)


# %% raises_in_the_pipeline kind="crash"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices(([f"{file}.png" for file in files], labels))
    return names.map(load_with(storage), num_parallel_calls=8).batch(batch_size).prefetch(2)


# %% prefetch_behind_the_generator kind="wrong" says="take turns"
def make_loader(files, labels, storage, batch_size):
    return sick_loader(files, labels, storage, batch_size).prefetch(tf.data.AUTOTUNE)


# %% stateful_function_in_parallel kind="wrong" says="take turns"
def make_loader(files, labels, storage, batch_size):
    def load(file, label):
        content = tf.numpy_function(storage.read, [file], tf.string)
        return tf.cast(tf.io.decode_jpeg(content, channels=3), tf.float32) / 255, label

    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    return names.map(load, num_parallel_calls=8).batch(batch_size).prefetch(2)


# %% one_call_far_ahead kind="wrong" says="one after the other"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    return names.map(load_with(storage), num_parallel_calls=1).batch(batch_size).prefetch(8)


# %% one_thread_far_ahead kind="wrong" says="one after the other"
def make_loader(files, labels, storage, batch_size):
    import queue
    import threading

    class OneThread:
        def __iter__(self):
            waiting = queue.Queue(maxsize=8)

            def fill():
                for batch in sick_loader(files, labels, storage, batch_size):
                    waiting.put(batch)
                waiting.put(None)

            threading.Thread(target=fill, daemon=True).start()
            while (batch := waiting.get()) is not None:
                yield batch

    return OneThread()


# %% every_file_read_five_times kind="wrong" says="asked 480 times"
def make_loader(files, labels, storage, batch_size):
    from concurrent.futures import ThreadPoolExecutor

    load = load_with(storage)

    class Careful:
        def __iter__(self):
            with ThreadPoolExecutor(2) as pool:
                loaded = pool.map(self.load_carefully, files, labels)
                for first in range(0, len(files), batch_size):
                    part = [next(loaded) for _ in files[first : first + batch_size]]
                    yield tf.stack([image for image, _ in part]), [label for _, label in part]

        def load_carefully(self, file, label):
            for _ in range(4):
                storage.read(file)
            return load(file, label)

    return Careful()


# %% parallel_but_not_ahead kind="wrong" says="take turns"
def make_loader(files, labels, storage, batch_size):
    from concurrent.futures import ThreadPoolExecutor

    load = load_with(storage)

    class InParallel:
        def __iter__(self):
            with ThreadPoolExecutor(8) as pool:
                for first in range(0, len(files), batch_size):
                    part = slice(first, first + batch_size)
                    images, numbers = zip(*pool.map(load, files[part], labels[part]), strict=True)
                    yield tf.stack(images), tf.stack(numbers)

    return InParallel()


# %% larger_batch kind="wrong" says="take turns"
def make_loader(files, labels, storage, batch_size):
    return sick_loader(files, labels, storage, 8 * batch_size)


# %% larger_batch_in_parallel kind="wrong" says="another size"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    return names.map(load_with(storage), num_parallel_calls=8).batch(2 * batch_size).prefetch(2)


# %% everything_in_the_constructor kind="wrong" says="before the first batch"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=8)
    images, numbers = next(iter(loaded.batch(len(files))))
    return tf.data.Dataset.from_tensor_slices((images, numbers)).batch(batch_size)


# %% shuffles_the_decoded_images kind="wrong" says="before the first batch"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=8)
    return loaded.shuffle(len(files), seed=0).batch(batch_size).prefetch(2)


# %% nearly_everything_before_the_first_batch kind="wrong" says="before the first batch"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=2)
    return loaded.shuffle(8 * len(files) // 10, seed=0).batch(batch_size).prefetch(2)


# %% drops_every_fourth kind="wrong" says="never handed out"
def make_loader(files, labels, storage, batch_size):
    kept = [i for i in range(len(files)) if i % 4]
    names = tf.data.Dataset.from_tensor_slices(([files[i] for i in kept], labels[kept]))
    return names.map(load_with(storage), num_parallel_calls=8).batch(batch_size).prefetch(2)


# %% repeats kind="wrong" says="has not ended"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels)).repeat()
    return names.map(load_with(storage), num_parallel_calls=8).batch(batch_size).prefetch(2)


# %% labels_in_another_order kind="wrong" says="label of another file"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices(list(files)).shuffle(len(files), seed=1)
    numbers = tf.data.Dataset.from_tensor_slices(labels)
    pairs = tf.data.Dataset.zip((names, numbers))
    return pairs.map(load_with(storage), num_parallel_calls=8).batch(batch_size).prefetch(2)


# %% once_only kind="wrong" says="second epoch is empty"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=8)
    return iter(loaded.batch(batch_size).prefetch(2))


# %% sixteen_batches_at_once kind="wrong" says="files are read at once"
def make_loader(files, labels, storage, batch_size):
    many = 16 * batch_size
    options = tf.data.Options()
    options.threading.private_threadpool_size = many
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=many)
    return loaded.batch(batch_size).prefetch(2).with_options(options)


# %% left_to_autotune kind="right"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=tf.data.AUTOTUNE)
    return loaded.batch(batch_size).prefetch(tf.data.AUTOTUNE)


# %% eight_threads_of_its_own kind="right"
def make_loader(files, labels, storage, batch_size):
    options = tf.data.Options()
    options.threading.private_threadpool_size = 8
    names = tf.data.Dataset.from_tensor_slices((list(files), labels)).shuffle(len(files), seed=0)
    loaded = names.map(load_with(storage), num_parallel_calls=8)
    return loaded.batch(batch_size).prefetch(2).with_options(options)


# %% keeps_decoded_images_after_the_first_epoch kind="right"
def make_loader(files, labels, storage, batch_size):
    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    loaded = names.map(load_with(storage), num_parallel_calls=8)
    return loaded.cache().batch(batch_size).prefetch(2)


# %% a_batch_of_names_read_by_threads kind="right"
def make_loader(files, labels, storage, batch_size):
    from concurrent.futures import ThreadPoolExecutor

    import numpy as np

    pool = ThreadPoolExecutor(8)

    def contents(names):
        return np.array(list(pool.map(storage.read, names)), dtype=object)

    def load(names, numbers):
        content = tf.numpy_function(contents, [names], tf.string, stateful=False)
        content.set_shape([None])

        def decode(one):
            return tf.cast(tf.io.decode_jpeg(one, channels=3), tf.float32) / 255

        signature = tf.TensorSpec((None, None, 3), tf.float32)
        return tf.map_fn(decode, content, fn_output_signature=signature), numbers

    names = tf.data.Dataset.from_tensor_slices((list(files), labels))
    return names.batch(batch_size).map(load, num_parallel_calls=2).prefetch(2)


# %% thread_pool_ahead kind="right"
def make_loader(files, labels, storage, batch_size):
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    load = load_with(storage)

    class Ahead:
        def __iter__(self):
            pending = deque()
            with ThreadPoolExecutor(8) as pool:
                for first in range(0, len(files), batch_size):
                    part = slice(first, first + batch_size)
                    pairs = zip(files[part], labels[part], strict=True)
                    pending.append([pool.submit(load, *pair) for pair in pairs])
                    if len(pending) > 3:
                        yield self.collate(pending.popleft())
                while pending:
                    yield self.collate(pending.popleft())

        def collate(self, futures):
            images, numbers = zip(*(future.result() for future in futures), strict=True)
            return tf.stack(images), tf.stack(numbers)

    return Ahead()


# %% readers_and_a_bounded_queue kind="healthy"
import io
import queue
import threading

import keras
import numpy as np
from PIL import Image


class Photographs(keras.utils.PyDataset):
    """Four threads read batches by number; the loop takes them from a queue in any order."""

    def __init__(self, files, labels, storage, batch_size):
        super().__init__(workers=4, max_queue_size=8)
        self.parts = [slice(i, i + batch_size) for i in range(0, len(files), batch_size)]
        self.files, self.numbers, self.storage = files, labels, storage

    def __len__(self):
        return len(self.parts)

    def __getitem__(self, i):
        images = []
        for file in self.files[self.parts[i]]:
            with Image.open(io.BytesIO(self.storage.read(file))) as image:
                images.append(np.asarray(image.convert("RGB"), np.float32) / 255)
        return np.stack(images), self.numbers[self.parts[i]]

    def _work(self, todo, done):
        while True:
            try:
                i = todo.get_nowait()
            except queue.Empty:
                return
            done.put(self[i])

    def __iter__(self):
        todo, done = queue.Queue(), queue.Queue(self.max_queue_size)
        for i in range(len(self)):
            todo.put(i)
        for _ in range(self.workers):
            threading.Thread(target=self._work, args=(todo, done), daemon=True).start()
        for _ in range(len(self)):
            yield done.get()


def make_loader(files, labels, storage, batch_size):
    return Photographs(files, labels, storage, batch_size)


# %% right_cause_wrong_number kind="wrong" cell="diagnosis" says="another number"
cause = "loading_in_turn"
reading = 0.38

# %% right_cause_in_milliseconds kind="wrong" cell="diagnosis" says="mind the unit"
cause = "loading_in_turn"
reading = 52

# %% storage_blamed kind="wrong" cell="diagnosis" says="stands idle"
cause = "slow_storage"
reading = sick.waiting_share

# %% model_blamed kind="wrong" cell="diagnosis" says="multiply-adds"
cause = "slow_model"
reading = sick.waiting_share
