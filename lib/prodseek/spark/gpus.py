"""Which tasks hold a GPU: those that run the network, one process a GPU, and no others.

Executors are given GPUs by `spark.executor.resource.gpu.amount`. A task asks for one by its stage's resource profile. Without
dynamic allocation that changes what tasks ask for and leaves executors as they are: on a standalone cluster, YARN and
Kubernetes. Local mode knows no resources: there all tasks share the machine's GPU.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from pyspark import TaskContext
from pyspark.resource import ResourceProfile, ResourceProfileBuilder, TaskResourceRequests
from pyspark.sql import SparkSession

from prodseek.errors import ConfigError

_GPU = "gpu"
# Of NVIDIA's driver, of Windows' for Linux, and of AMD's.
_GPU_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")
_AMOUNT = f"spark.executor.resource.{_GPU}.amount"
# A process needs CUDA's context and libraries, the weights and a batch of one image; larger batches are halved until they fit.
_PROCESS_BYTES = 2 * 2**30


def task_profile(spark: SparkSession) -> ResourceProfile | None:
    """What `mapInArrow` is to ask for where its tasks run the network: a GPU each, where executors have any."""
    if not executors_have_gpus(spark):
        return None
    n_cpus = int(spark.sparkContext.getConf().get("spark.task.cpus", "1"))
    # A property, says pyspark; its type hints call it a method.
    return ResourceProfileBuilder().require(TaskResourceRequests().cpus(n_cpus).resource(_GPU, 1)).build


def executors_have_gpus(spark: SparkSession) -> bool:
    """Whether Spark gives GPUs to executors, hence to tasks that ask."""
    return not is_local(spark) and int(spark.sparkContext.getConf().get(_AMOUNT, "0")) > 0


def is_local(spark: SparkSession) -> bool:
    """Whether tasks run in the driver's own process."""
    master = str(spark.sparkContext.master)
    return master.startswith("local") and not master.startswith("local-cluster")


def may_have_gpu() -> bool:
    """Whether this machine has the device file of a GPU's driver; without one torch, seconds to import, would find no GPU."""
    return sys.platform != "linux" or any(Path(device).exists() for device in _GPU_DEVICES)


def held_gpu() -> int | None:
    """In a task, the number of the GPU that it was given, as nvidia-smi counts them; None where it was given none.

    Raises ConfigError for an address that is no number.
    """
    context = TaskContext.get()
    given = context.resources().get(_GPU) if context is not None else None
    if given is None:
        return None
    address = given.addresses[0]
    if not address.isdecimal():
        raise ConfigError(
            f"the GPU that Spark gave to this task is called {address!r}; the discovery script must print numbers as "
            "nvidia-smi counts GPUs, see conf/find-gpus.sh"
        )
    # CUDA counts the fastest first unless told otherwise. It reads this when it is first used.
    os.environ.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return int(address)


def no_gpus(spark: SparkSession) -> str:
    """Why the network cannot run on a GPU, and what to do about it."""
    if is_local(spark):
        return "torch finds no GPU on this machine"
    return f"Spark gives executors no GPU: {_AMOUNT} is not set, see conf/spark-defaults.conf"


def check_slots(n_slots: int, gpu_bytes: int) -> None:
    """Raise ConfigError where local mode's task slots would load more networks than the memory of the GPU holds."""
    fits = max(1, gpu_bytes // _PROCESS_BYTES)
    if n_slots > fits:
        raise ConfigError(
            f"{n_slots} task slots would each load the network onto the GPU, whose {gpu_bytes / 2**30:.1f} GiB hold {fits} "
            f"({_PROCESS_BYTES / 2**30:.0f} GiB a process): use --set 'spark.master=local[{fits},4]', or embed.device=cpu"
        )
