"""A run of a generator, from a spec and a seed to the files of its folder."""

import time
from dataclasses import asdict
from functools import partial

import pandas as pd
import torch
from torch import Tensor, nn

from florilegium.core.files import write_json
from florilegium.core.generation_recipe import GenerationRecipe
from florilegium.core.progress import say
from florilegium.core.receipts import write_receipt
from florilegium.data.augment import InputConfig
from florilegium.data.load import Splits
from florilegium.data.tables import write_table
