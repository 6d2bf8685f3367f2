classdef Recording < handle
% Recording  A recording that the daemon holds open; made by sp.open(file).
%
%   rec.read(first, last, ...)      frames (frames, channels)
%   rec.detectPeaks(...)            spikes
%   rec.reduce(operations, ...)     mean, std, ... of each channel
%   rec.map(kernel, ...)            a kernel of your own on each channel
%
%   Segments, frames and channels are counted from 1 here and from 0 in the daemon.
%
%   See also spiked.Client

% SPDX-License-Identifier: BSD-3-Clause

    properties (SetAccess = private)
        file = ''               % on the daemon's machine
        layout = ''             % 'nwb', 'spikeglx', 'open_ephys', 'generic', ...
        numChannels = 0
        numSamples = 0          % frames of all segments together
        samplingFrequency = 0   % Hz
        dtype = ''              % class of the stored values: 'int16', ...
        unit = ''               % 'uV', or 'counts' if nobody says what a count is
        channelIds = {}         % (1, channels) cell of char
        channelLocations = []   % (channels, 2 or 3), micrometres; [] if not known
        interSampleShift = []   % (1, channels) when a channel is sampled, as a part of the sample period; [] if not known
        gainsUV = []            % (1, channels): microvolts = stored .* gainsUV + offsetsUV
        offsetsUV = []          % (1, channels)
        segments = struct('startTimeS', {}, 'numSamples', {})   % struct array (1, segments): stretches without gaps
        description = struct()  % all that the daemon says of it
    end

    properties (Access = private)
        client = []
        name = struct()
    end

    methods
        function obj = Recording(client, name, description, arrays)
            % Recording  Called by spiked.Client.open.
            obj.client = client;
            obj.name = name;
            obj.description = description;
            obj.file = name.file;
            obj.layout = description.layout;
            obj.numChannels = description.num_channels;
            obj.numSamples = description.num_samples;
            obj.samplingFrequency = description.sampling_frequency;
            info = spiked.internal.dtypeInfo(description.dtype);
            obj.dtype = info.name;
            obj.unit = description.unit;
            obj.channelIds = spiked.internal.asList(description.channel_ids);
            if isfield(arrays, 'channel_locations')
                obj.channelLocations = arrays.channel_locations;
            end
            if isfield(arrays, 'inter_sample_shift')
                obj.interSampleShift = reshape(arrays.inter_sample_shift, 1, []);
            end
            obj.gainsUV = reshape(arrays.gains_uV, 1, []);
            obj.offsetsUV = reshape(arrays.offsets_uV, 1, []);
            for s = spiked.internal.asList(description.segments)
                obj.segments(end + 1) = struct('startTimeS', s{1}.start_time_s, 'numSamples', s{1}.num_samples);
            end
        end

        function disp(obj)
            % disp  One line that says what it is.
            [~, base, extension] = fileparts(obj.file);
            fprintf('<spiked.Recording %s%s: %s, %d channels x %d frames at %g Hz, %s>\n', base, extension, obj.layout, obj.numChannels, ...
                obj.numSamples, obj.samplingFrequency, obj.dtype);
        end

        function x = read(obj, varargin)
            % read  Frames of a segment.
            %
            %   x = rec.read()               all frames of segment 1
            %   x = rec.read(first, last)    1-based, both included
            %   x = rec.read(..., 'Channels', idx, 'Scaled', true, 'Segment', 1, 'Timeout', seconds)
            %
            %   Channels  1-based indices, in any order; default all
            %   Scaled    true: single, microvolts; false (default): as stored
            %   x         (frames, channels)
            %
            %   Errors: spiked:invalid for frames or channels that are not there, spiked:tooLarge for more than limits.result_bytes.
            range = {[], []};
            n = 0;
            while n < 2 && n < numel(varargin) && isnumeric(varargin{n + 1})
                n = n + 1;
                range{n} = varargin{n};
            end
            o = spiked.internal.parseOptions('read', struct('Channels', [], 'Scaled', false, 'Segment', 1, 'Timeout', []), varargin(n + 1:end));
            params = spiked.internal.rangeParams('read', obj.name, o.Segment, range{:});
            params.scaled = logical(o.Scaled);
            if ~isempty(o.Channels)
                params.channels = num2cell(reshape(spiked.internal.index('read', 'Channels', o.Channels) - 1, 1, []));
            end
            [~, arrays] = obj.client.request('read', params, {}, o.Timeout);
            x = arrays.traces;
        end

        function [peaks, details] = detectPeaks(obj, varargin)
            % detectPeaks  Detect spikes.
            %
            %   peaks = rec.detectPeaks()
            %   peaks = rec.detectPeaks('PeakSign', 'neg', 'DetectThreshold', 5, ...
            %       'Preprocess', {spiked.bandpass(300, 6000), spiked.commonReference('median')})
            %   [peaks, details] = rec.detectPeaks(...)
            %
            %   Method           'by_channel' (default): SpikeInterface's rule for each channel alone; 'locally_exclusive': its rule where channels
            %                    near each other compete
            %   RadiusUm         'locally_exclusive': channels this near compete, micrometres; default 50
            %   ChannelLocations 'locally_exclusive': (channels, 2 or 3), micrometres; default the recording's
            %   PeakSign         'neg' (default), 'pos', 'both'
            %   DetectThreshold  > 0; default 5
            %   ThresholdUnit    of DetectThreshold and MaxThreshold: 'noise' (default): noise levels; 'uV'; 'raw': as stored
            %   MaxThreshold     peaks beyond it are artefacts, and dropped; default: none are
            %   DeadTimeMs       after a peak its channel gives none for so long; default 0
            %   MaxRate          most peaks a second on a channel, in windows of one second; default: any
            %   NoiseMethod      'mad' (default): centred; 'quiroga': median(|x|) / 0.6745; 'std'; 'rms'
            %   NoiseSamples     'random' (default): 20 chunks of 0.5 s in each segment; 'all': chunks side by side
            %   Compat           'spikeinterface': its arithmetic and chunks, and so its peaks, row by row; ChunkFrames: default one second
            %   ExcludeSweepMs   half-window, ms, truncated to frames; default 1; 0: threshold only
            %   Preprocess       cell of stages, applied in order: spiked.bandpass, highpass, commonReference
            %   NoiseLevels      (channels) or one for all, in the unit of the preprocessed traces; default: measured
            %   Seed             of the random chunks; default 0
            %   Output           NWB file to write as well, on the daemon's machine; SkipDone true: not if it is there and made of the same
            %   Segment, First, Last   1-based, Last included; default everything. A part gives the peaks the whole would have there
            %   Timeout          seconds
            %
            %   peaks     struct of double columns (peaks, 1): sampleIndex, channelIndex, segmentIndex (1-based), amplitude (raw units), time (s
            %             from the first frame of the segment); in order of segment, sample, channel
            %   details   struct: noiseLevels (1, channels; [] where the threshold is in another unit), dropped (struct: how many peaks
            %             maxThreshold, deadTimeMs and maxRate dropped), output, skipped, warnings, timings (ns)
            %
            %   Errors: spiked:invalid, spiked:denied (Output outside the daemon's output.roots), spiked:deadline, spiked:io, spiked:corrupt.
            defaults = spiked.internal.detectionDefaults();
            for option = {'Output', 'SkipDone', 'Segment', 'First', 'Last'}
                defaults.(option{1}) = [];
            end
            o = spiked.internal.parseOptions('detectPeaks', defaults, varargin);
            params = spiked.internal.rangeParams('detectPeaks', obj.name, o.Segment, o.First, o.Last);
            [params, noise] = spiked.internal.detectionParams(params, o);
            if ~isempty(o.Output)
                params.output = struct('file', spiked.internal.absolutePath(o.Output));
                if ~isempty(o.SkipDone)
                    params.output.skip_done = logical(o.SkipDone);
                end
            end
            [result, arrays, header] = obj.client.request('detect', params, noise, o.Timeout);
            if ~isfield(arrays, 'peaks')
                arrays.peaks = zeros(4, 0, 'int64');    % skipped: the file holds them
            end
            peaks = spiked.internal.peakStruct(arrays.peaks, obj.samplingFrequency);
            details = spiked.internal.detectionDetails(result, arrays, header);
        end

        function result = reduce(obj, operations, varargin)
            % reduce  Reduce each channel over time.
            %
            %   m = rec.reduce('mean')                     (1, channels)
            %   r = rec.reduce({'mean', 'std', 'mad'})     struct of one (1, channels) row each
            %   r = rec.reduce(..., 'Threshold', 50, 'Scaled', true)
            %
            %   operations   count_above sum sum_of_squares weighted_sum mean std (of the population) rms min max mad
            %   Threshold    of count_above and weighted_sum, in the unit of the samples
            %   Scaled       true: microvolts; false (default): as stored
            %   Preprocess   cell of stages
            %   Seed         of the noise sampling of mad
            %   Segment, First, Last   1-based, Last included; default everything
            %   Timeout      seconds
            %
            %   All results are double. Errors: spiked:invalid, spiked:deadline, spiked:io, spiked:corrupt.
            o = spiked.internal.parseOptions('reduce', struct('Threshold', [], 'Scaled', false, 'Preprocess', {{}}, 'Seed', [], 'Segment', [], ...
                'First', [], 'Last', [], 'Timeout', []), varargin);
            params = spiked.internal.rangeParams('reduce', obj.name, o.Segment, o.First, o.Last);
            params = spiked.internal.reductionParams(params, operations, o);
            if logical(o.Scaled)
                params.scaled = true;
            end
            [~, arrays] = obj.client.request('reduce', params, {}, o.Timeout);
            result = spiked.internal.reductionResult(operations, arrays);
        end

        function varargout = map(obj, kernel, varargin)
            % map  Calls a kernel for each channel, in the daemon, on the samples themselves.
            %
            %   n = rec.map(k)                             k: of sp.compile, or the name of a registered kernel
            %   n = rec.map(k, -50, weights)               further arguments, the same for all channels, as in spiked.Client.call; read-only
            %   [low, times] = rec.map(k, ..., 'Preprocess', {spiked.bandpass(300, 6000)}, 'Scaled', true)
            %
            %   The kernel's first argument is the trace of one channel, of the stored class, or float32 after Preprocess or Scaled. Read-only.
            %   Kernels are Python: indices inside start at 0, also those that they return.
            %   The first text among the arguments begins the options:
            %
            %   Preprocess   cell of stages
            %   Scaled       true: microvolts; false (default): as stored
            %   Segment, First, Last   1-based, Last included; Segment is needed where there are several
            %   Timeout      seconds
            %
            %   Each result: (1, channels) for a number, a cell (1, channels) of columns for a one-dimensional array.
            %   Errors: spiked:invalid, which names the channel where the kernel failed; spiked:unsupported, spiked:tooLarge, spiked:deadline.
            first = find(cellfun(@(a) ischar(a) || isa(a, 'string'), varargin), 1);
            if isempty(first)
                first = numel(varargin) + 1;
            end
            o = spiked.internal.parseOptions('map', struct('Preprocess', {{}}, 'Scaled', false, 'Segment', [], 'First', [], 'Last', [], ...
                'Timeout', []), varargin(first:end));
            params = spiked.internal.rangeParams('map', obj.name, o.Segment, o.First, o.Last);
            params.dtype = obj.description.dtype;
            params.preprocess = spiked.internal.stageList('map', o.Preprocess);
            params.scaled = logical(o.Scaled);
            program = spiked.internal.kernelParams('map', kernel);
            for key = reshape(fieldnames(program), 1, [])
                params.(key{1}) = program.(key{1});
            end
            arrays = spiked.internal.programArrays('map', varargin(1:first - 1), true);
            [result, arrays] = obj.client.request('map', params, arrays, o.Timeout);
            varargout = spiked.internal.outputs('map', nargout, spiked.internal.mapResults(result, arrays), {});
        end
    end
end
