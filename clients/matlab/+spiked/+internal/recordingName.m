function [name, o] = recordingName(who, file, args)
% recordingName  Parameters of the wire that name a recording (protocol/SPEC.md 4.1), from the arguments of open.
%
%   [name, o] = recordingName(who, file, args)   args: cell {option, value, ...}; o: all options

% SPDX-License-Identifier: BSD-3-Clause
o = struct('Timeout', []);
for option = {'Recording', 'Dataset', 'SamplingFrequency', 'TimeAxis', 'GainUV', 'OffsetUV'}
    o.(option{1}) = [];
end
o = spiked.internal.parseOptions(who, o, args);
name = struct('file', spiked.internal.absolutePath(spiked.internal.asChar(file)));
wire = {'Recording', 'recording'; 'Dataset', 'dataset'; 'SamplingFrequency', 'sampling_frequency'; 'GainUV', 'gain_uV'; 'OffsetUV', 'offset_uV'};
for i = 1:size(wire, 1)
    if ~isempty(o.(wire{i, 1}))
        name.(wire{i, 2}) = o.(wire{i, 1});
    end
end
if ~isempty(o.TimeAxis)
    name.time_axis = spiked.internal.index(who, 'TimeAxis', o.TimeAxis) - 1;
end
end
