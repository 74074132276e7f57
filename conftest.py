"""For all tests, those of the notebooks included: progress bars tell the time, which no test can compare."""

import os

os.environ["TQDM_DISABLE"] = "1"
