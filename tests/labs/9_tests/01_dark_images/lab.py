# ---
# title: The images arrive dark
# symptom: The mean of what enters the network is 0.002, and nothing is learned.
# minutes: 10
# difficulty: 1
# learn: [look at the numbers that enter the network, divide once]
# sources: ["000/28"]
# seconds: {pytorch: 5, tensorflow: 5}
# hints:
#   diagnosis:
#     - Print the mean before and after the function.
#     - The images are bytes, 0 to 255; how large is the largest number now?
#     - 'The line is `cause = "divided twice"`.'
#   repair:
#     - Count the divisions.
#     - One of the two lines in the function is too much.
#     - Return `images / 255`.
# ---

# %% [markdown] story
# Somebody prepares the images in two places. The network sees almost nothing.

# %% [markdown] idiom tags=["pytorch"]
# PyTorch wants the channels first; see `torchvision.transforms.v2`.

# %% [markdown] idiom tags=["tensorflow"]
# Keras wants the channels last; see `keras.layers.Rescaling`.

# %% layout tags=["pytorch"]
layout = "NCHW"

# %% layout tags=["tensorflow"]
layout = "NHWC"

# %% sick-run
import numpy as np

images = np.arange(48, dtype=np.uint8).reshape(1, 4, 4, 3)
mean = float((images / 255 / 255).mean())
print(f"The mean is {mean:.4f}.")

# %% picture tags=["picture"]
shown = [int(value) for value in images.ravel()[:5]]
print(shown, layout)

# %% [markdown] question
# Which cause explains the mean above?
#
# | `cause` | what it would mean |
# |---|---|
# | `"divided twice"` | the mean is 255 times too small |
# | `"dark camera"` | the bytes themselves are small |

# %% diagnosis tags=["answer"]
cause = ...
reading = ...
### BEGIN SOLUTION
cause = "divided twice"
reading = mean
### END SOLUTION

# %% check-diagnosis tags=["check"]
lab.check("diagnosis")


# %% repair tags=["answer"]
def prepare(images):
    x = images / 255 / 255
    ### BEGIN SOLUTION
    x = images / 255
    ### END SOLUTION
    return x


# %% check-repair tags=["check"]
lab.check("repair")

# %% proof tags=["proof"]
print(f"The mean is now {prepare(images).mean():.3f}.")
