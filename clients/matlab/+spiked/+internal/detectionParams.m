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
% Those that are empty are left to the daemon.
words = {'ThresholdUnit', 'threshold_unit'; 'NoiseMethod', 'noise_method'; 'NoiseSamples', 'noise_samples'; 'Compat', 'compat'};
for row = words.'
    if ~isempty(o.(row{1}))
        params.(row{2}) = o.(row{1});
    end
end
numbers = {'RadiusUm', 'radius_um'; 'MaxThreshold', 'max_threshold'; 'DeadTimeMs', 'dead_time_ms'; 'MaxRate', 'max_rate'; 'ChunkFrames', 'chunk_frames'};
for row = numbers.'
    if ~isempty(o.(row{1}))
        params.(row{2}) = spiked.internal.number(who, row{1}, o.(row{1}));
    end
end
arrays = {};
if ~isempty(o.ChannelLocations)
    if ~isnumeric(o.ChannelLocations) || ~ismatrix(o.ChannelLocations)
        spiked.internal.fail('invalid', [who ': ChannelLocations must be a matrix (channels, 2 or 3), in micrometres']);
    end
    arrays(end + 1, :) = {'channel_locations', double(o.ChannelLocations), 2};
end
if ~isempty(o.NoiseLevels)
    if ~isnumeric(o.NoiseLevels) || ~isvector(o.NoiseLevels)
        spiked.internal.fail('invalid', [who ': NoiseLevels must be one number, or one for each channel']);
    end
    arrays(end + 1, :) = {'noise_levels', double(o.NoiseLevels), 1};
end
end
