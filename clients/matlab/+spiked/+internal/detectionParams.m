function [params, arrays] = detectionParams(params, o)
% detectionParams  Options of detectPeaks as parameters and arrays of the wire (protocol/SPEC.md 4.4).
%
%   [params, arrays] = detectionParams(params, o)   arrays: cell {name, array, dimensions}, for Client.request

% SPDX-License-Identifier: BSD-3-Clause
who = 'detectPeaks';
params.method = o.Method;
params.peak_sign = o.PeakSign;
params.detect_threshold = spiked.internal.number(who, 'DetectThreshold', o.DetectThreshold);
params.exclude_sweep_ms = spiked.internal.number(who, 'ExcludeSweepMs', o.ExcludeSweepMs);
params.preprocess = spiked.internal.stageList(who, o.Preprocess);
params.seed = spiked.internal.number(who, 'Seed', o.Seed);
arrays = {};
if ~isempty(o.NoiseLevels)
    if ~isnumeric(o.NoiseLevels) || ~isvector(o.NoiseLevels)
        spiked.internal.fail('invalid', [who ': NoiseLevels must be one number, or one for each channel']);
    end
    arrays = {'noise_levels', double(o.NoiseLevels), 1};
end
end
