# tries: nothing; its cell fails after the answer is defined
# outcome: passed
# points: 4
# says: images you have not seen
def prepare(images):
    return images / 255


print(prepare.no_such_attribute)
