function details = detectionDetails(result, arrays, header)
% detectionDetails  What a detection says beside its peaks: struct with noiseLevels (1, channels), output, skipped, warnings, timings (ns).

% SPDX-License-Identifier: BSD-3-Clause
details = struct('noiseLevels', [], 'output', '', 'skipped', false, 'warnings', {{}}, 'timings', struct());
if isfield(arrays, 'noise_levels')
    details.noiseLevels = reshape(arrays.noise_levels, 1, []);
end
for name = {'output', 'skipped'}
    if isfield(result, name{1})
        details.(name{1}) = result.(name{1});
    end
end
if isfield(header, 'warnings')
    details.warnings = spiked.internal.asList(header.warnings);
end
if isfield(header, 'timings')
    details.timings = header.timings;
end
end
