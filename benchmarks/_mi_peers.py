"""What a peer's environment runs for benchmarks/mi.py: one job from a file, its result as JSON on the last line. Imports no drocl.

python benchmarks/_mi_peers.py JOB.json, with {"peer": ..., "data": "X.npz", "repeats": 3, ...}
"""

import json
import os
import sys
import time

os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1", JAX_PLATFORMS="cpu")
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

import numpy as np


def bmi_ksg(x, y, job):
    from bmi.estimators import KSGEnsembleFirstEstimator

    def call():
        return KSGEnsembleFirstEstimator(neighborhoods=(job["k"],), metric_x="chebyshev").estimate(x, y)

    return call


def bmi_neural(x, y, job):
    import bmi.estimators as theirs

    names = {"infonce": "InfoNCE", "nwj": "NWJ", "dv": "DonskerVaradhan", "mine": "MINE"}
    kind = getattr(theirs, names[job["estimator"]] + "Estimator")
    return lambda: kind(verbose=False).estimate(x, y)


def bmi_cca(x, y, job):
    from bmi.estimators import CCAMutualInformationEstimator

    return lambda: CCAMutualInformationEstimator().estimate(x, y)


def mist_infonce(x, y, job):
    import torch
    from torch_mist.estimators import infonce
    from torch_mist.utils.train import train_mi_estimator

    torch.set_num_threads(1)
    data = {"x": torch.tensor(x, dtype=torch.float32), "y": torch.tensor(y, dtype=torch.float32)}

    def call():
        torch.manual_seed(0)
        made = infonce(
            x_dim=x.shape[1], y_dim=y.shape[1], hidden_dims=job["hidden"], critic_type="separable", k_dim=job["embed"]
        )
        train_mi_estimator(
            made,
            data,
            valid_percentage=0.0,
            batch_size=job["batch"],
            max_iterations=job["steps"],
            verbose=False,
            logger=False,
            early_stopping=False,
            optimizer_params={"lr": job["rate"]},
        )
        with torch.no_grad():
            test = {"x": data["x"][: job["batch"]], "y": data["y"][: job["batch"]]}
            return float(made.mutual_information(**test))

    return call


JOBS = {"bmi-ksg": bmi_ksg, "bmi-neural": bmi_neural, "bmi-cca": bmi_cca, "mist-infonce": mist_infonce}
PACKAGES = {"bmi": ("benchmark-mi", "jax", "jaxlib", "numpy"), "mist": ("torch-mist", "torch", "numpy")}


def main():
    with open(sys.argv[1]) as file:
        job = json.load(file)
    with np.load(job["data"]) as held:
        x, y = held["x"], held["y"]
    call = JOBS[job["peer"]](x, y, job)
    seconds = []
    for _ in range(1 + job.get("repeats", 1) if job.get("warm", True) else job.get("repeats", 1)):
        start = time.process_time()
        value = float(call())
        seconds.append(time.process_time() - start)
    from importlib.metadata import version

    versions = {name: version(name) for name in PACKAGES[job["peer"].split("-")[0]]}
    print(json.dumps({"value": value, "seconds": seconds[1:] if len(seconds) > 1 else seconds, "versions": versions}))


if __name__ == "__main__":
    main()
