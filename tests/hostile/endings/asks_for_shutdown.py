# tries: to shut the kernel down in an orderly way before the check
# outcome: not attempted or not run
# points: 0
# says: `prepare` is not defined
from IPython import get_ipython

get_ipython().kernel.do_shutdown(restart=False)
get_ipython().ask_exit()
