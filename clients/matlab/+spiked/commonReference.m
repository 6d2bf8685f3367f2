function stage = commonReference(operator)
% commonReference  Preprocessing stage: subtracts from each frame the median, or average, over all channels.
%
%   stage = spiked.commonReference('median')    the default
%   stage = spiked.commonReference('average')
%
%   See also spiked.bandpass, spiked.highpass

% SPDX-License-Identifier: BSD-3-Clause
if nargin < 1
    operator = 'median';
end
stage = struct('stage', 'common_reference', 'operator', spiked.internal.asChar(operator));
end
