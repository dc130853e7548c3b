# %% zeros kind="constant" says="asked for no file"
def make_loader(files, labels, storage, batch_size):
    class Zeros:
        def __iter__(self):
            for first in range(0, len(files), batch_size):
                part = torch.as_tensor(labels[first : first + batch_size])
                yield torch.zeros(len(part), 3, 32, 32), part

    return Zeros()


# %% blank_after_reading kind="constant" says="show none of the files"
def make_loader(files, labels, storage, batch_size):
    class Blank(Photographs):
        def __getitem__(self, i):
            image, label = super().__getitem__(i)
            return torch.zeros_like(image), label

    return DataLoader(
        Blank(files, labels, storage),
        batch_size=batch_size,
        num_workers=4,
        multiprocessing_context="fork",
    )


# %% raises_when_called kind="crash"
def make_loader(files, labels, storage, batch_size):
    return DataLoader(Photographs(files, labels, storage), batch_size=batch_size, workers=4)


# %% raises_in_a_worker kind="crash"
def make_loader(files, labels, storage, batch_size):
    names = [f"{file}.png" for file in files]
    return DataLoader(
        Photographs(names, labels, storage),
        batch_size=batch_size,
        num_workers=2,
        multiprocessing_context="fork",
    )


# %% pinned_memory_only kind="wrong" expect="not attempted"
def make_loader(files, labels, storage, batch_size):
    return DataLoader(Photographs(files, labels, storage), batch_size=batch_size, pin_memory=True)


# %% one_worker_far_ahead kind="wrong" says="one after the other"
def make_loader(files, labels, storage, batch_size):
    return DataLoader(
        Photographs(files, labels, storage),
        batch_size=batch_size,
        num_workers=1,
        prefetch_factor=8,
        multiprocessing_context="fork",
    )


# %% every_file_read_five_times kind="wrong" says="asked 480 times"
def make_loader(files, labels, storage, batch_size):
    class Careful(Photographs):
        def __getitem__(self, i):
            for _ in range(4):
                self.storage.read(self.files[i])
            return super().__getitem__(i)

    return DataLoader(
        Careful(files, labels, storage),
        batch_size=batch_size,
        num_workers=2,
        multiprocessing_context="fork",
    )


# %% parallel_but_not_ahead kind="wrong" says="take turns"
def make_loader(files, labels, storage, batch_size):
    from concurrent.futures import ThreadPoolExecutor

    photographs = Photographs(files, labels, storage)

    class InParallel:
        def __iter__(self):
            with ThreadPoolExecutor(8) as pool:
                for first in range(0, len(files), batch_size):
                    indices = range(first, min(first + batch_size, len(files)))
                    images, numbers = zip(*pool.map(photographs.__getitem__, indices), strict=True)
                    yield torch.stack(images), torch.tensor(numbers)

    return InParallel()


# %% larger_batch kind="wrong" says="take turns"
def make_loader(files, labels, storage, batch_size):
    return DataLoader(Photographs(files, labels, storage), batch_size=8 * batch_size)


# %% larger_batch_with_workers kind="wrong" says="another size"
def make_loader(files, labels, storage, batch_size):
    return DataLoader(
        Photographs(files, labels, storage),
        batch_size=2 * batch_size,
        num_workers=4,
        multiprocessing_context="fork",
    )


# %% everything_in_the_constructor kind="wrong" says="before the first batch"
def make_loader(files, labels, storage, batch_size):
    from concurrent.futures import ThreadPoolExecutor

    photographs = Photographs(files, labels, storage)
    with ThreadPoolExecutor(8) as pool:
        loaded = list(pool.map(photographs.__getitem__, range(len(files))))
    return DataLoader(loaded, batch_size=batch_size)


# %% nearly_everything_before_the_first_batch kind="wrong" says="before the first batch"
def make_loader(files, labels, storage, batch_size):
    from concurrent.futures import ThreadPoolExecutor

    photographs = Photographs(files, labels, storage)

    class Full:
        def __iter__(self):
            with ThreadPoolExecutor(2) as pool:
                pending = [pool.submit(photographs.__getitem__, i) for i in range(len(files))]
                pending[9 * len(files) // 10].result()
                for first in range(0, len(files), batch_size):
                    part = [future.result() for future in pending[first : first + batch_size]]
                    yield torch.stack([x for x, _ in part]), torch.tensor([y for _, y in part])

    return Full()


# %% drops_every_fourth kind="wrong" says="never handed out"
def make_loader(files, labels, storage, batch_size):
    kept = [i for i in range(len(files)) if i % 4]
    return DataLoader(
        Photographs([files[i] for i in kept], labels[kept], storage),
        batch_size=batch_size,
        num_workers=4,
        multiprocessing_context="fork",
    )


# %% every_worker_hands_out_everything kind="wrong" says="more than once"
def make_loader(files, labels, storage, batch_size):
    from torch.utils.data import IterableDataset

    class Stream(IterableDataset):
        def __iter__(self):
            photographs = Photographs(files, labels, storage)
            return (photographs[i] for i in range(len(files)))

    return DataLoader(
        Stream(), batch_size=batch_size, num_workers=2, multiprocessing_context="fork"
    )


# %% labels_in_another_order kind="wrong" says="label of another file"
def make_loader(files, labels, storage, batch_size):
    order = torch.randperm(len(files)).tolist()
    return DataLoader(
        Photographs([files[i] for i in order], labels, storage),
        batch_size=batch_size,
        num_workers=4,
        multiprocessing_context="fork",
    )


# %% once_only kind="wrong" says="second epoch is empty"
def make_loader(files, labels, storage, batch_size):
    loader = DataLoader(
        Photographs(files, labels, storage),
        batch_size=batch_size,
        num_workers=4,
        multiprocessing_context="fork",
    )
    return (batch for batch in loader)


# %% sixteen_batches_at_once kind="wrong" says="files are read at once"
def make_loader(files, labels, storage, batch_size):
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    photographs = Photographs(files, labels, storage)
    pool = ThreadPoolExecutor(16 * batch_size)

    class Greedy:
        def __iter__(self):
            pending = deque()
            for first in range(0, len(files), batch_size):
                part = range(first, min(first + batch_size, len(files)))
                pending.append([pool.submit(photographs.__getitem__, i) for i in part])
                if len(pending) == 16:
                    yield self.collate(pending.popleft())
            while pending:
                yield self.collate(pending.popleft())

        def collate(self, futures):
            images, numbers = zip(*(future.result() for future in futures), strict=True)
            return torch.stack(images), torch.tensor(numbers)

    return Greedy()


# %% six_workers_one_batch_each kind="right"
def make_loader(files, labels, storage, batch_size):
    return DataLoader(
        Photographs(files, labels, storage),
        batch_size=batch_size,
        num_workers=6,
        prefetch_factor=1,
        multiprocessing_context="fork",
    )


# %% five_workers_shuffled kind="right"
def make_loader(files, labels, storage, batch_size):
    return DataLoader(
        Photographs(files, labels, storage),
        batch_size=batch_size,
        shuffle=True,
        num_workers=5,
        persistent_workers=True,
        multiprocessing_context="fork",
    )


# %% thread_pool_ahead kind="right"
def make_loader(files, labels, storage, batch_size):
    from collections import deque
    from concurrent.futures import ThreadPoolExecutor

    photographs = Photographs(files, labels, storage)

    class Ahead:
        def __iter__(self):
            batches = [
                range(len(files))[i : i + batch_size] for i in range(0, len(files), batch_size)
            ]
            pending = deque()
            with ThreadPoolExecutor(8) as pool:
                for batch in batches:
                    pending.append([pool.submit(photographs.__getitem__, i) for i in batch])
                    if len(pending) > 3:
                        yield self.collate(pending.popleft())
                while pending:
                    yield self.collate(pending.popleft())

        def collate(self, futures):
            images, numbers = zip(*(future.result() for future in futures), strict=True)
            return torch.stack(images), torch.tensor(numbers)

    return Ahead()


# %% batch_read_by_threads_in_one_worker kind="right"
def make_loader(files, labels, storage, batch_size):
    from concurrent.futures import ThreadPoolExecutor

    class InBatches(Photographs):
        def __getitems__(self, indices):
            with ThreadPoolExecutor(len(indices)) as pool:
                return list(pool.map(self.__getitem__, indices))

    return DataLoader(
        InBatches(files, labels, storage),
        batch_size=batch_size,
        num_workers=1,
        multiprocessing_context="fork",
    )


# %% streaming_shards kind="right"
def make_loader(files, labels, storage, batch_size):
    from torch.utils.data import IterableDataset, get_worker_info

    class Stream(IterableDataset):
        def __iter__(self):
            worker = get_worker_info()
            photographs = Photographs(files, labels, storage)
            return (photographs[i] for i in range(worker.id, len(files), worker.num_workers))

    return DataLoader(
        Stream(), batch_size=batch_size, num_workers=4, multiprocessing_context="fork"
    )


# %% keeps_decoded_images_after_the_first_epoch kind="right"
def make_loader(files, labels, storage, batch_size):
    loader = DataLoader(
        Photographs(files, labels, storage),
        batch_size=batch_size,
        num_workers=4,
        multiprocessing_context="fork",
    )

    class Kept:
        def __init__(self):
            self.batches = []

        def __iter__(self):
            if self.batches:
                yield from self.batches
                return
            batches = []
            for batch in loader:
                batches.append(batch)
                yield batch
            self.batches = batches

    return Kept()


# %% readers_and_a_bounded_queue kind="healthy"
import io
import queue
import threading

import numpy as np
import torch
from PIL import Image


def decode_file(storage, file):
    with Image.open(io.BytesIO(storage.read(file))) as image:
        return np.asarray(image.convert("RGB"), np.float32).transpose(2, 0, 1) / 255


class QueueLoader:
    """Four threads take numbers of batches from one queue and put batches into another."""

    def __init__(self, files, labels, storage, batch_size):
        self.parts = [slice(i, i + batch_size) for i in range(0, len(files), batch_size)]
        self.files, self.labels, self.storage = files, labels, storage

    def _work(self, todo, done):
        while True:
            try:
                part = todo.get_nowait()
            except queue.Empty:
                return
            images = np.stack([decode_file(self.storage, file) for file in self.files[part]])
            done.put((torch.from_numpy(images), torch.from_numpy(self.labels[part])))

    def __iter__(self):
        todo, done = queue.Queue(), queue.Queue(maxsize=8)
        for part in self.parts:
            todo.put(part)
        for _ in range(4):
            threading.Thread(target=self._work, args=(todo, done), daemon=True).start()
        for _ in self.parts:
            yield done.get()


def make_loader(files, labels, storage, batch_size):
    return QueueLoader(files, labels, storage, batch_size)


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
