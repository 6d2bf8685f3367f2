# SPDX-License-Identifier: BSD-3-Clause
"""A kernel on every channel (protocol/SPEC.md 4.13)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from .errors import SpikedError, of_program
from .inspection import placed
from .kernels import Dispatcher, function_of
from .stages import Stage, split

if TYPE_CHECKING:
    from .client import Client


def _arguments(dispatcher: Dispatcher, args: Sequence[Any], captured: Any) -> Dict[str, np.ndarray]:
    """Arrays a0, a1, ... behind the trace: the arguments, then the arrays that the kernel takes from around it."""
    names, values = dispatcher._names[1:], dispatcher._bind((None, *args), {})[1:]
    arrays: List[np.ndarray] = []
    for name, value in [*zip(names, values), *zip(captured.array_names, captured.arrays)]:
        kind, sent = dispatcher._argument(name, value)
        arrays.append(np.frombuffer(sent, kind.dtype).reshape(()) if isinstance(sent, bytes) else sent)
    return {f"a{k}": a for k, a in enumerate(arrays)}


def _results(result: Mapping[str, Any], got: Mapping[str, np.ndarray]) -> Any:
    values: List[Any] = []
    for k in range(result["num_results"]):
        value, lengths = got[f"r{k}"], got.get(f"r{k}_lengths")
        values.append(value if lengths is None else np.split(value, np.cumsum(lengths)[:-1]))
    return None if result["form"] == "none" else tuple(values) if result["form"] == "tuple" else values[0]


def run(client: "Client", source: Mapping[str, Any], traces: Mapping[str, np.ndarray], kernel: Callable[..., Any], args: Tuple[Any, ...],
        preprocess: Sequence[Stage], scaled: bool, timeout: Optional[float]) -> Any:
    """Calls the kernel for each channel of a source (SPEC.md 4.3) and gives its results as `Recording.map` does."""
    dispatcher = kernel if isinstance(kernel, Dispatcher) else Dispatcher(function_of(kernel) or kernel, {})
    captured = dispatcher._source()
    program = {"kernel_file" if key == "file" else key: value for key, value in captured.params.items()}
    params: Dict[str, Any] = {**source, **program, "preprocess": split(preprocess)[0]}
    if dispatcher._options:
        params["options"] = dispatcher._options
    if scaled:
        params["scaled"] = True
    arrays = {**traces, **split(preprocess)[1], **_arguments(dispatcher, args, captured)}
    options = client._options(timeout)
    try:
        header, got = client._submit(lambda by_memory: client._request("map", params, arrays, options, by_memory), arrays, of_program)
    except SpikedError as e:
        raise placed(e, captured) from None
    for text in header.get("warnings", ()):
        warnings.warn(text, RuntimeWarning, stacklevel=3)
    return _results(header["result"], got)
