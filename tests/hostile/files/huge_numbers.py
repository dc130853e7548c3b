# tries: to keep the reader busy with a number of a million digits
# outcome: not run
# points: 0
# says: notebook
def hand_in(path, answered):
    path.write_text('{"nbformat": ' + "9" * 1_000_000 + ', "cells": []}')
