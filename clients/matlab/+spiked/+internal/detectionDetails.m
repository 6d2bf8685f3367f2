function details = detectionDetails(result, arrays, header)
% detectionDetails  What a detection says beside its peaks: struct with noiseLevels (1, channels), dropped, output, skipped, warnings, timings (ns).

% SPDX-License-Identifier: BSD-3-Clause
details = struct('noiseLevels', [], 'dropped', struct('maxThreshold', 0, 'deadTimeMs', 0, 'maxRate', 0), 'output', '', 'skipped', false, 'warnings', {{}}, 'timings', struct());
if isfield(arrays, 'noise_levels')
    details.noiseLevels = reshape(arrays.noise_levels, 1, []);
end
if isfield(result, 'dropped')
    details.dropped = struct('maxThreshold', result.dropped.max_threshold, 'deadTimeMs', result.dropped.dead_time_ms, 'maxRate', result.dropped.max_rate);
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
