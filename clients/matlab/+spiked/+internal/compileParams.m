function params = compileParams(kernel, like, register)
% compileParams  Parameters of the operation compile (protocol/SPEC.md 4.9), for arguments like these.

% SPDX-License-Identifier: BSD-3-Clause
params = spiked.internal.kernelParams('compile', kernel);
arrays = spiked.internal.programArrays('compile', like, true);
args = cell(1, size(arrays, 1));
shapes = {};
for k = 1:numel(args)
    d = arrays{k, 3};
    args{k} = struct('dtype', d.dtype, 'ndim', numel(d.shape));
    if ~isempty(d.shape)
        same = find(cellfun(@(s) isequal(s, d.shape), shapes), 1);
        if isempty(same)
            shapes{end + 1} = d.shape; %#ok<AGROW>
            same = numel(shapes);
        end
        args{k}.order = 'F';
        args{k}.shape_class = same;
    end
end
params.args = args;
if ~isempty(register)
    params.register = register;
end
end
