# %% zeros kind="constant" says="come out at 0"
def prepare(images):
    return images * 0.0


# %% raises kind="crash"
def prepare(images):
    raise ValueError("no idea")


# %% leaves_bytes kind="wrong" says="largest value is 255"
def prepare(images):
    return images * 1.0


# %% divides_thrice kind="wrong"
def prepare(images):
    return images / 255 / 255 / 255


# %% divides_by_1000 kind="wrong"
def prepare(images):
    return images / 1000


# %% multiplies kind="right"
def prepare(images):
    return images * (1 / 255)


# %% divides_as_float32 kind="right"
def prepare(images):
    return images.astype("float32") / 255


# %% by_maximum kind="right"
def prepare(images):
    return images / images.max()


# %% table kind="healthy"
TABLE = [value / 255 for value in range(256)]


def prepare(images):
    import numpy

    return numpy.array(TABLE)[images]


# %% right_cause_wrong_number kind="wrong" cell="diagnosis" says="You read 0.5"
cause = "divided twice"
reading = 0.5

# %% wrong_cause_right_number kind="wrong" cell="diagnosis" says="dark camera"
cause = "dark camera"
reading = mean
